-- Takes the runs whose time has come and puts each off a little, so that two sweeps never work on the same one and a
-- sweep that dies leaves nothing behind.
-- KEYS: 1 runs that are due · ARGV: 1 now ms · 2 put off until ms · 3 at most so many
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], ARGV[2], id)
end
return ids
