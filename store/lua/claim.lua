-- Gives a worker the tasks that it may start now, each under a short lease, in one round trip.
-- A lease is a time in the queue: a claimed task is due again when its lease ends, and a living worker postpones
-- that for all its tasks with one command. So nobody examines claimed tasks, however many there are, and a killed
-- worker's tasks are found at the very moment when they are free. Redis's own clock counts; workers' may differ.
-- KEYS: 1 queue · 2 wake · 3 runs that are due · 4 the word that changes when keys are to be read again · 5 schema
-- ARGV: 1 at most this many · 2 lease ms · 3 a run is never due this many ms ahead · 4 schema of this worker · 5 names of heavy
-- tasks, with commas around each · 6 at most this many of those · 7 whether others are taken · then the ids of the tasks that
-- this worker holds
-- Answers {ids and scores alternating, now ms, when the next task is due or '', when the next run is due or '', that word or
-- '', {}}. A worker that is too old for the stored data gets nothing, and the reason at the end, as in `schema.lua`. If
-- more could be started than this worker has places for, runs take turns, and another worker is woken.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local newest = redis.call('HMGET', KEYS[5], 'readable_from', 'version')
if tonumber(newest[1] or 0) > tonumber(ARGV[4]) then
  return {{}, now, '', '', '', {newest[1], newest[2] or '?'}}
end
local room = math.min(tonumber(ARGV[1]), 1000)  -- Lua passes on a few thousand values at most.

-- A task's second word is its run ('submit:RUN:…'); others stand for themselves.
local function run_of(id)
  return string.match(id, '^[^:]*:([^:]*)') or id
end

-- That many of the due tasks, ids and scores alternating, with runs taking turns: the next place goes to the run that
-- has the fewest, counting those that this worker holds; among these to the task that has been due longest. The second
-- answer says whether a task whose run already has a place was given one. So a run without a place never comes after
-- one that has some.
local function in_turns(due)
  local has, ranks, last = {}, {}, 0
  for i = 8, #ARGV do
    local run = run_of(ARGV[i])
    has[run] = (has[run] or 0) + 1
  end
  for i = 1, #due, 2 do
    local run = run_of(due[i])
    local rank = has[run] or 0
    has[run] = rank + 1
    ranks[rank] = ranks[rank] or {}
    table.insert(ranks[rank], i)
    last = math.max(last, rank)
  end
  local chosen = {}
  for rank = 0, last do
    for _, i in ipairs(ranks[rank] or {}) do
      if #chosen == 2 * room then
        return chosen, rank > 0
      end
      chosen[#chosen + 1] = due[i]
      chosen[#chosen + 1] = due[i + 1]
    end
  end
  return chosen, last > 0
end

-- Adds those of *tasks* to *found* that this worker has a place for: any that are not heavy, if it takes those, and as
-- many heavy ones as it has places for. The others stay where they are, and nobody is woken for them: workers with
-- places for them look every few seconds.
local heavy_room = tonumber(ARGV[6])
local function fitting(tasks, found)
  for i = 1, #tasks, 2 do
    local is_heavy = string.find(ARGV[5], ',' .. string.match(tasks[i], '^[^:]*') .. ',', 1, true)
    if is_heavy and heavy_room > 0 or not is_heavy and ARGV[7] == '1' then
      found[#found + 1] = tasks[i]
      found[#found + 1] = tasks[i + 1]
      heavy_room = is_heavy and heavy_room - 1 or heavy_room
    end
  end
  return found
end

local due, seen = {}, 0
repeat  -- Once, unless tasks that it has no place for are in front.
  local size = seen == 0 and room + 1 or 200
  local tasks = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', seen, size)
  due, seen = fitting(tasks, due), seen + size
until #due > 2 * room or #tasks < 2 * size or seen >= 5000
local more = #due > 2 * room
local claimed, leases = due, {}
if more then
  local unfair
  claimed, unfair = in_turns(due)
  if unfair then  -- A run without a place may be further back: behind the many tasks of another, or newly arrived.
    local number, oldest = redis.call('ZCOUNT', KEYS[1], '-inf', now), math.max(200, seen)
    heavy_room = tonumber(ARGV[6])
    due = fitting(redis.call('ZRANGE', KEYS[1], 0, math.min(number, oldest) - 1, 'WITHSCORES'), {})
    if number > oldest then
      local newest = redis.call('ZRANGE', KEYS[1], math.max(oldest, number - 100), number - 1, 'WITHSCORES')
      due = fitting(newest, due)
    end
    claimed = in_turns(due)
  end
end
for i = 1, #claimed, 2 do
  leases[i], leases[i + 1] = now + ARGV[2], claimed[i]
end
if #leases > 0 then
  redis.call('ZADD', KEYS[1], 'XX', unpack(leases))
end
if more and redis.call('LLEN', KEYS[2]) < 8 then
  redis.call('RPUSH', KEYS[2], 1)
  redis.call('PEXPIRE', KEYS[2], 60000)
end
local next_task = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local next_run = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
local last_run = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
if last_run and tonumber(last_run) > now + ARGV[3] then  -- The clock was set back since: the sweep looks at it now.
  next_run = now
end
return {claimed, now, next_task[2] or '', next_run or '', redis.call('GET', KEYS[4]) or '', {}}
