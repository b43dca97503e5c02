-- Whether a provider may be asked about a job now, over all workers.
-- KEYS: 1 what is known about it (hash: rest_until, next_at; both ms)
-- ARGV: 1 ms between planned look-ups, or '' · 2 ms to rest from now on, or '' · 3 life ms
-- Answers ms to wait; 0: ask. Redis's own clock counts; workers' may differ.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local rest_until = tonumber(redis.call('HGET', KEYS[1], 'rest_until') or 0)
if ARGV[2] ~= '' then
  rest_until = math.max(rest_until, now + tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], 'rest_until', rest_until)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if rest_until > now then
  return rest_until - now
end
if ARGV[1] == '' then
  return 0
end
local next_at = tonumber(redis.call('HGET', KEYS[1], 'next_at') or 0)
if next_at > now then
  return next_at - now
end
redis.call('HSET', KEYS[1], 'next_at', now + tonumber(ARGV[1]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 0
