-- Sets when a run is looked at next and queues its tasks, if it has not changed since it was read.
-- KEYS: 1 run · 2 due · 3 queue · 4 wake
-- ARGV: 1 revision · 2 wake-up or '' · 3 run id · 4 task life ms · then id, definition for each task
if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[2], ARGV[3])
else
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
end
enqueue(KEYS[3], KEYS[4], ARGV, 5, 0, ARGV[4])
return 1
