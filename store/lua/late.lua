-- Records why a kept callback came too late to matter; one that is no longer kept is not restored.
-- KEYS: 1 callback · 2 its marks · ARGV: 1 reason
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms > 0 then
  redis.call('HSET', KEYS[2], 'late', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], left_ms)
end
