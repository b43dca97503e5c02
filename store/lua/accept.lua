-- Keeps callbacks that arrived together, each once, and queues the look-ups that they ask for.
-- KEYS: 1 callbacks by time · 2 queue · 3 wake
-- ARGV: 1 now ms · 2 keep for ms · 3 task life ms · then for each: callback id, sha256 of what came, record, the key of its
--       mark, task id ('' = none), definition
-- Answers 1 (new) or 0 (repeat) for each; a callback that we sent before (from the spool, after an answer that we missed)
-- is not a repeat of itself; what was kept of it stays as it is. The first one for a key leaves its mark there, 'ID SHA256';
-- one that has another SHA256 disagrees with it, and has a mark of its own. Records are written last, all in one hash, which
-- is named after their time; only callbacks with one can be repeated: if Redis refuses halfway, the provider's next try
-- counts as new. One that was held until now loses its raw form in the same step.
local now, keep_ms = ARGV[1], ARGV[2]
local answers, times, tasks, records, new = {}, {}, {}, {}, {}

local function first_at(key, mark)
  return redis.call('SET', key, mark, 'NX', 'GET', 'PX', keep_ms)
end

local function note(command, id, name, value)
  redis.call(command, '{framerelay}:marks:' .. id, name, value)
  redis.call('PEXPIRE', '{framerelay}:marks:' .. id, keep_ms)
end

local function is_accepted(id)
  local at = redis.call('ZSCORE', KEYS[1], id)
  return at and redis.call('HEXISTS', KEYS[1] .. ':' .. at, id) == 1
end

local function is_kept(id)  -- Those that earlier versions accepted, too.
  return is_accepted(id) or redis.call('EXISTS', '{framerelay}:callback:' .. id) == 1
end

for i = 4, #ARGV, 6 do
  local id, sha256, key = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  local mark = id .. ' ' .. sha256
  local first, other = first_at(key, mark), nil
  if first and string.match(first, ' (.*)$') ~= sha256 then
    other = string.match(first, '^%S+')
    first = first_at('{framerelay}:contradiction:' .. sha256 .. ':' .. key, mark)
  end
  local earlier = first and first ~= mark and string.match(first, '^%S+')
  if earlier and (new[earlier] or is_kept(earlier)) then
    note('HINCRBY', earlier, 'repeats', 1)
    answers[#answers + 1] = 0
  else
    if other then
      note('HSET', id, 'conflict', other)
    end
    if ARGV[i + 4] ~= '' then
      tasks[#tasks + 1] = ARGV[i + 4]
      tasks[#tasks + 1] = ARGV[i + 5]
    end
    if first ~= mark or not is_accepted(id) then
      times[#times + 1] = now
      times[#times + 1] = id
      records[#records + 1] = id
      records[#records + 1] = ARGV[i + 2]
    end
    new[id] = true
    answers[#answers + 1] = 1
  end
end
enqueue(KEYS[2], KEYS[3], tasks, 1, 0, ARGV[3])
if #times > 0 then
  local added = redis.call('ZADD', KEYS[1], unpack(times))
  redis.call('HSET', KEYS[1] .. ':' .. now, unpack(records))
  redis.call('PEXPIRE', KEYS[1] .. ':' .. now, keep_ms)
  for i = 2, added * 2 < #times and #times or 0, 2 do
    redis.call('DEL', '{framerelay}:callback:' .. times[i])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - keep_ms)
return answers
