-- Records the outcome of a try, and sets when the next one is, unless somebody asked for another since the lease began.
-- KEYS: 1 notification · 2 its deliveries · 3 notifications that are due
-- ARGV: 1 id · 2 lease · 3 delivery ('' = it was not sent) · 4 state · 5 ms until the next try ('' = none) · 6 kept
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms <= 0 then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return 0
end
if ARGV[3] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[3])
  redis.call('LTRIM', KEYS[2], -ARGV[6], -1)
  redis.call('PEXPIRE', KEYS[2], left_ms)
end
if tonumber(redis.call('ZSCORE', KEYS[3], ARGV[1]) or 0) ~= tonumber(ARGV[2]) then
  return 0
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'state', ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'tries', 1)
end
if ARGV[5] == '' then
  redis.call('ZREM', KEYS[3], ARGV[1])
else
  local clock = redis.call('TIME')
  redis.call('ZADD', KEYS[3], clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[5], ARGV[1])
end
return 1
