-- Puts one task where arq's workers find it: arq's own layout, so that stock arq tools can read it.
-- The definition goes in only if it is missing, the queue entry likewise: a step that waits or runs is not doubled,
-- and one that lost either half is made whole. One token wakes one idle worker.
local function enqueue(queue, wake, id, definition, score, life_ms)
  local is_new = redis.call('SET', 'arq:job:' .. id, definition, 'NX', 'PX', life_ms)
  local is_queued = redis.call('ZADD', queue, 'NX', score, id) == 1
  if (is_new or is_queued) and redis.call('LLEN', wake) < 8 then
    redis.call('RPUSH', wake, 1)
    redis.call('PEXPIRE', wake, 60000)
  end
  return is_new and 1 or 0
end
