-- Keeps a callback that has no effect, and forgets the oldest of its kind beyond the limits; not one that was accepted
-- since, by somebody who was interrupted before taking it out of here.
-- KEYS: 1 callbacks by time · 2 those of its kind, newest first
-- ARGV: 1 now ms · 2 keep for ms · 3 at most this many · 4 at most this many bytes · 5 callback id · 6 record
redis.call('SET', '{framerelay}:callback:' .. ARGV[5], ARGV[6], 'PX', ARGV[2])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[5])
redis.call('LPUSH', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local bytes = 0
for number, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  bytes = bytes + redis.call('STRLEN', '{framerelay}:callback:' .. id)
  if number > 1 and (number > tonumber(ARGV[3]) or bytes > tonumber(ARGV[4])) then
    redis.call('LREM', KEYS[2], 1, id)
    if redis.call('HEXISTS', KEYS[1] .. ':' .. (redis.call('ZSCORE', KEYS[1], id) or ''), id) == 0 then
      redis.call('ZREM', KEYS[1], id)
    end
    redis.call('DEL', '{framerelay}:callback:' .. id)
  end
end
