-- Notes why a kept callback came too late to matter; one that is no longer kept is not brought back.
-- KEYS: 1 callback · ARGV: 1 reason
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'late', ARGV[1])
end
