-- Records why a kept callback came too late to matter; one that is no longer kept is not restored.
-- KEYS: 1 callbacks by time · 2 the callback, if it is stored by itself · 3 its marks · ARGV: 1 callback id · 2 reason
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
local batch = at and KEYS[1] .. ':' .. at
local kept = batch and redis.call('HEXISTS', batch, ARGV[1]) == 1 and batch or KEYS[2]
local left_ms = redis.call('PTTL', kept)
if left_ms > 0 then
  redis.call('HSET', KEYS[3], 'late', ARGV[2])
  redis.call('PEXPIRE', KEYS[3], left_ms)
end
