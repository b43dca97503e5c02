-- Removes a run, if it has not changed since it was read; a mark stays, so that a late message cannot restart it.
-- KEYS: 1 run · 2 its events · 3 due · 4 all runs (and, with ':STATUS' behind it, those of one status; with '-by-id'
--       by id) · 5 ended · 6 removed · 7 its storyboard
-- ARGV: 1 revision · 2 run id · 3 status · 4 now s · 5 the mark's life ms
if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
  return 0
end
index(KEYS[1], KEYS[4], ARGV[2], 0, redis.call('HGET', KEYS[1], 'indexes'), '')
redis.call('DEL', KEYS[1], KEYS[2], KEYS[7])
redis.call('HSET', KEYS[1], 'revision', 'removed')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
for _, index in ipairs({KEYS[3], KEYS[4], KEYS[4] .. ':' .. ARGV[3], KEYS[4] .. '-by-id', KEYS[5]}) do
  redis.call('ZREM', index, ARGV[2])
end
redis.call('ZADD', KEYS[6], ARGV[4], ARGV[2])
return 1
