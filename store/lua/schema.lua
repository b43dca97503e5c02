-- Records the schema of a starting program, unless it is too old for the stored data; then the answer says why.
-- KEYS: 1 schema · ARGV: 1 its own · 2 the oldest that may continue side by side with it · 3 its version
-- Answers nil, or {the oldest that can read the stored data, the version that said so}
local held = redis.call('HMGET', KEYS[1], 'written_by', 'readable_from', 'version')
if tonumber(held[2] or 0) > tonumber(ARGV[1]) then
  return {held[2], held[3] or '?'}
end
redis.call('HSET', KEYS[1], 'keys', 'tagged', 'written_by', math.max(tonumber(held[1] or 0), tonumber(ARGV[1])))
if tonumber(held[2] or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'readable_from', ARGV[2], 'version', ARGV[3])
end
return nil
