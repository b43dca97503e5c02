-- Moves a run from the indexes that it was in to those that it belongs to; both are names, one per line.
-- Called by the scripts that follow: the run's key, the prefix of all names, its id, when it was made, old, new.
local function index(run, beginning, id, made_at, old, new)
  if old == new then
    return
  end
  local before, after = {}, {}
  for name in string.gmatch(old or '', '[^\n]+') do
    before[name] = true
  end
  for name in string.gmatch(new, '[^\n]+') do
    after[name] = true
    if not before[name] then
      redis.call('ZADD', beginning .. ':' .. name, made_at, id)
    end
  end
  for name in pairs(before) do
    if not after[name] then
      redis.call('ZREM', beginning .. ':' .. name, id)
    end
  end
  redis.call('HSET', run, 'indexes', new)
end
