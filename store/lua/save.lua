-- Saves a run if nobody was faster, with everything that follows from it: its event, its next wake-up, its due tasks.
-- KEYS: 1 run · 2 its events · 3 due · 4 all runs (and, with ':STATUS' behind it, those of one status; with '-by-id' by id) · 5 queue · 6 wake
--       7 runs that have ended · 8 notifications (and, with ':RUN' behind it, those of one run) · 9 those that are due · 10 its storyboard
-- ARGV: 1 expected revision ('' = must not exist) · 2 'all' fields of the run follow, or 'some' · 3 event · 4 wake-up or '' · 5 run id · 6 created
--       7 events kept · 8 new revision · 9 now ms · 10 task life ms · 11 status · 12 ended at or ''
--       13 names of the indexes that it belongs to, one per line: each is KEYS[4] with ':NAME' appended
--       14 number of names and values of fields of the run · 15 number of ids and records of notices · 16 keep notices for ms
--       17 the text of its storyboard, or '' to keep the existing one
--       then these fields, these notices, then id, definition for each task
-- Answers 1 (saved), 0 (somebody was faster) or 2 (an early version kept the run in one 'body': all fields are needed)
local held = redis.call('HMGET', KEYS[1], 'revision', 'status', 'body', 'indexes')
if (held[1] or '') ~= ARGV[1] then
  return 0
end
if held[3] then
  if ARGV[2] == 'some' then
    return 2
  end
  redis.call('HDEL', KEYS[1], 'body')
end
local fields_end = 17 + ARGV[14]
redis.call('HSET', KEYS[1], 'revision', ARGV[8], 'status', ARGV[11], unpack(ARGV, 18, fields_end))
if ARGV[17] ~= '' then
  redis.call('SET', KEYS[10], ARGV[17])
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], '*', 'event', ARGV[3])
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[3], ARGV[5])
else
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[5])
end
if not held[1] then
  redis.call('ZADD', KEYS[4], ARGV[6], ARGV[5])
  redis.call('ZADD', KEYS[4] .. '-by-id', 0, ARGV[5])
end
if held[2] ~= ARGV[11] then
  if held[2] then
    redis.call('ZREM', KEYS[4] .. ':' .. held[2], ARGV[5])
  end
  redis.call('ZADD', KEYS[4] .. ':' .. ARGV[11], ARGV[6], ARGV[5])
end
index(KEYS[1], KEYS[4], ARGV[5], ARGV[6], held[4], ARGV[13])
if ARGV[12] ~= '' then
  redis.call('ZADD', KEYS[7], ARGV[12], ARGV[5])
else
  redis.call('ZREM', KEYS[7], ARGV[5])
end
local notices_end = fields_end + ARGV[15]
for i = fields_end + 1, notices_end, 2 do
  local id = ARGV[i]
  local key = '{framerelay}:notification:' .. id
  if redis.call('HSETNX', key, 'notice', ARGV[i + 1]) == 1 then  -- Otherwise it was reported already.
    redis.call('HSET', key, 'state', 'waiting', 'since', ARGV[9] / 1000, 'tries', 0)
    redis.call('PEXPIRE', key, ARGV[16])
    redis.call('ZADD', KEYS[8], ARGV[9], id)
    redis.call('ZADD', KEYS[8] .. ':' .. ARGV[5], ARGV[9], id)
    redis.call('PEXPIRE', KEYS[8] .. ':' .. ARGV[5], ARGV[16])
    redis.call('ZADD', KEYS[9], ARGV[9], id)
    redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', ARGV[9] - ARGV[16])
  end
end
enqueue(KEYS[5], KEYS[6], ARGV, notices_end + 1, 0, ARGV[10])
return 1
