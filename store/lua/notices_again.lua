-- Has a notification sent at once, whatever its state; a try that is under way does not undo that.
-- KEYS: 1 notification · 2 notifications that are due · 3 queue · 4 wake
-- ARGV: 1 id · 2 now s · 3 task life ms · then id, definition of the task that wakes a sender
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'since', ARGV[2], 'tries', 0)
redis.call('ZADD', KEYS[2], 0, ARGV[1])
enqueue(KEYS[3], KEYS[4], ARGV, 4, 0, ARGV[3])
return 1
