-- Moves what versions before schema 3 stored, under keys without a hash tag, one piece with each call.
-- The first piece is everything that those versions start from: any of them that still runs finds a string in its place,
-- and so keeps no callback, saves and makes no run, and takes no task. After that the rest may be moved in any order, by
-- any number of programs, interrupted and begun again. Existing keys stay, since they are newer; keys that belong to no
-- run are left over from one that could not be made, and stay where they are.
-- KEYS: 1 schema of those versions · 2 schema
-- ARGV: 1 cursor, '0' at first · 2 own schema · 3 the oldest that may continue side by side with it · 4 own version · 5 that text
--       6 at least this many keys are examined
-- Answers {{} or who is too old, as `schema.lua` does; the next cursor, '0' at the end; how many keys were moved}
local OLD, NEW = 'framerelay:', '{framerelay}:'
if redis.call('HGET', KEYS[2], 'keys') then
  return {{}, '0', 0}
end
local BEGINNINGS = {queue = true, due = true, callbacks = true, runs = true}
local newest = redis.call('HMGET', KEYS[1], 'written_by', 'readable_from', 'version')
if tonumber(newest[2] or 0) > tonumber(ARGV[2]) then
  return {{newest[2], newest[3] or '?'}, '0', 0}
end
local moved = 0

local function is_zset(key)
  return redis.call('TYPE', key).ok == 'zset'
end

local function move(old, new)
  if redis.call('EXISTS', old) == 0 then
    return
  end
  if redis.call('RENAMENX', old, new) == 0 then
    if not (is_zset(old) and is_zset(new)) then
      return
    end
    local left_ms = redis.call('PTTL', new)
    redis.call('ZUNIONSTORE', new, 2, new, old, 'AGGREGATE', 'MAX')
    if left_ms > 0 then
      redis.call('PEXPIRE', new, left_ms)
    end
    redis.call('DEL', old)
  end
  moved = moved + 1
end

if ARGV[1] == '0' then
  redis.call('HSET', KEYS[1], 'written_by', math.max(tonumber(newest[1] or 0), tonumber(ARGV[2])))
  redis.call('HSET', KEYS[1], 'readable_from', ARGV[3], 'version', ARGV[4])
  for name in pairs(BEGINNINGS) do
    if is_zset(OLD .. name) then
      move(OLD .. name, NEW .. name)
    end
    redis.call('SET', OLD .. name, ARGV[5])
  end
  for _, id in ipairs(redis.call('ZRANGE', NEW .. 'runs', 0, -1)) do
    move(OLD .. 'run:' .. id, NEW .. 'run:' .. id)
  end
  for _, id in ipairs(redis.call('ZRANGE', NEW .. 'queue', 0, -1)) do
    move('arq:job:' .. id, NEW .. 'arq:job:' .. id)
    move('arq:retry:' .. id, NEW .. 'arq:retry:' .. id)
  end
end

local function is_of_a_run(name, run)
  if name == 'run:' .. run then
    return redis.call('HGET', OLD .. name, 'revision') == 'removed'
  end
  return redis.call('EXISTS', NEW .. 'run:' .. run) == 1
end

local page = redis.call('SCAN', ARGV[1], 'MATCH', OLD .. '*', 'COUNT', ARGV[6])
for _, key in ipairs(page[2]) do
  local name = string.sub(key, #OLD + 1)
  local run = string.match(name, '^run:([^:]+)')
  if not BEGINNINGS[name] and key ~= KEYS[1] and (not run or is_of_a_run(name, run)) then
    move(key, NEW .. name)
  end
end
return {{}, page[1], moved}
