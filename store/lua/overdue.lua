-- Takes the runs whose time has come and puts each off a little, so that two sweeps never work on the same one and a
-- sweep that dies leaves nothing behind.
-- A time later than any that is ever set dates from before the clock went back, so that run is due as well.
-- KEYS: 1 runs that are due · ARGV: 1 now ms · 2 put off until ms · 3 at most this many · 4 the latest time that is ever set, ms
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local too_far = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[4], '+inf', 'LIMIT', 0, ARGV[3] - #ids)
for _, id in ipairs(too_far) do
  ids[#ids + 1] = id
end
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], ARGV[2], id)
end
return ids
