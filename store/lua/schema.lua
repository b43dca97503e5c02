-- Notes the schema of a program that starts, unless it is too old for what is there; then it answers why.
-- KEYS: 1 schema · ARGV: 1 its own · 2 the oldest that may go on beside it · 3 its version
-- Answers nil, or {the oldest that can read what is there, the version that said so}
local held = redis.call('HMGET', KEYS[1], 'written_by', 'readable_from', 'version')
if tonumber(held[2] or 0) > tonumber(ARGV[1]) then
  return {held[2], held[3] or '?'}
end
redis.call('HSET', KEYS[1], 'keys', 'tagged', 'written_by', math.max(tonumber(held[1] or 0), tonumber(ARGV[1])))
if tonumber(held[2] or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'readable_from', ARGV[2], 'version', ARGV[3])
end
return nil
