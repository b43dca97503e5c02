-- Adds a run to the indexes that it belongs to, if an early version has saved it without them.
-- KEYS: 1 run · 2 all runs
-- ARGV: 1 revision that was looked at · 2 run id · 3 created · 4 names of its indexes, one per line
local held = redis.call('HMGET', KEYS[1], 'revision', 'indexes')
if held[1] ~= ARGV[1] or held[2] then
  return 0
end
index(KEYS[1], KEYS[2], ARGV[2], ARGV[3], held[2], ARGV[4])
return 1
