-- Keeps a callback whose address was wrong, and forgets the oldest such beyond the bound.
-- KEYS: 1 callbacks by time · 2 refused ones, newest first
-- ARGV: 1 now ms · 2 kept for ms · 3 at most so many · 4 callback id · 5 record
redis.call('HSET', 'framerelay:callback:' .. ARGV[4], 'record', ARGV[5])
redis.call('PEXPIRE', 'framerelay:callback:' .. ARGV[4], ARGV[2])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
redis.call('LPUSH', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
while redis.call('LLEN', KEYS[2]) > tonumber(ARGV[3]) do
  local oldest = redis.call('RPOP', KEYS[2])
  redis.call('ZREM', KEYS[1], oldest)
  redis.call('DEL', 'framerelay:callback:' .. oldest)
end
