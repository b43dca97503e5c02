-- Hands out notifications that are due, each under a lease: a sender that dies leaves nothing behind.
-- KEYS: 1 notifications that are due · ARGV: 1 at most this many · 2 lease ms
-- Answers {record, since, tries for each; the lease's end; in how many ms the next one is due or nil}. Those no
-- longer kept are forgotten. Redis's own clock counts; workers' may differ.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease, found = now + ARGV[2], {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local kept = redis.call('HMGET', '{framerelay}:notification:' .. id, 'notice', 'since', 'tries')
  if kept[1] then
    redis.call('ZADD', KEYS[1], lease, id)
    for i = 1, 3 do
      found[#found + 1] = kept[i]
    end
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {found, lease, first[2] and first[2] - now or false}
