-- Moves a run from the indexes in which it stood to those in which it stands; both are names in lines.
-- Called by the scripts behind it: the run's key, what all names begin with, its id, when it was made, old, new.
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
