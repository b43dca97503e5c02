-- Places at one provider: that many jobs are in flight there at once, and the rest wait, with runs taking turns.
-- KEYS: 1 places (zset: member by when it got in, ms) · 2 those that wait (zset: member by its turn) · 3 facts (hash)
--       4 names of providers (set)
-- ARGV: 1 what happened: 'enter', 'leave', 'accepted', 'refused' · 2 member · 3 its run
--       4 given limit or '' · 5 limit to begin with · 6 ms between submits or '' · 7 ms to rest after a refusal · 8 life ms · 9 provider
-- facts: given, begin (from the last request) · limit · known ('1' once a refusal has shown it) · probe_at, probe_ms · rest_until · next_at · turn, turn:RUN · next_at, at:MEMBER
-- Answers {1 if the member has a place, else 0; ms until a submit may leave, or 0; how many are ahead of it; those that got one}
local places, waiting, facts = KEYS[1], KEYS[2], KEYS[3]
local what, member, run = ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')  -- Workers' own may differ.
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local given
local PROBE_MS, PROBE_MS_MAX = 60000, 600000

local function fact(name)
  return tonumber(redis.call('HGET', facts, name))
end

if what == 'enter' then
  redis.call('HSET', facts, 'given', ARGV[4], 'begin', ARGV[5])
end
given = fact('given')  -- A caller that frees a place need not know the given limit.
local limit = fact('limit') or fact('begin') or 1
if given and given < limit then
  limit = given
end

if what == 'leave' or what == 'refused' then
  redis.call('ZREM', places, member)
  redis.call('HDEL', facts, 'at:' .. member)
end
if what == 'leave' then
  redis.call('ZREM', waiting, member)
end

if what == 'refused' then
  local inside = redis.call('ZCARD', places)
  local again = fact('known') and math.min(2 * (fact('probe_ms') or PROBE_MS), PROBE_MS_MAX) or PROBE_MS
  limit = math.max(1, math.min(limit, inside))
  redis.call('HSET', facts, 'limit', limit, 'known', 1, 'probe_ms', again, 'probe_at', now + again)
  if inside == 0 then
    redis.call('HSET', facts, 'rest_until', now + tonumber(ARGV[7]))
  end
elseif what == 'accepted' and redis.call('ZCARD', places) >= limit then
  local may_grow = not fact('known') or now >= (fact('probe_at') or 0)
  if may_grow and (not given or limit < given) then
    limit = limit + 1
    redis.call('HSET', facts, 'limit', limit, 'probe_at', now + (fact('probe_ms') or PROBE_MS))
  end
elseif what == 'enter' and not redis.call('ZSCORE', places, member) and not redis.call('ZSCORE', waiting, member) then
  local turn = math.floor(math.max(fact('turn') or 0, fact('turn:' .. run) or 0)) + 1
  turn = turn + redis.call('HINCRBY', facts, 'arrivals', 1) % 1000000 * 1e-7  -- Within one turn, the first to arrive.
  redis.call('HSET', facts, 'turn:' .. run, turn)
  redis.call('ZADD', waiting, turn, member)
end

local entered = {}
if now >= (fact('rest_until') or 0) then
  while redis.call('ZCARD', places) < limit do
    local first = redis.call('ZPOPMIN', waiting)
    if not first[1] then
      break
    end
    redis.call('ZADD', places, now, first[1])
    redis.call('HSET', facts, 'turn', first[2])
    local its = 'turn:' .. string.match(first[1], '^[^:]+')
    if (fact(its) or 0) <= tonumber(first[2]) then
      redis.call('HDEL', facts, its)
    end
    if first[1] ~= member then
      entered[#entered + 1] = first[1]
    end
  end
end

local inside = redis.call('ZSCORE', places, member) and 1 or 0
local wait_ms = math.max(0, (fact('rest_until') or 0) - now)
if what == 'enter' and inside == 1 and ARGV[6] ~= '' then
  local at = fact('at:' .. member)
  if not at then  -- It gets its own moment once, and keeps it.
    at = math.max(now, fact('next_at') or 0)
    redis.call('HSET', facts, 'next_at', at + tonumber(ARGV[6]), 'at:' .. member, at)
  end
  wait_ms = math.max(0, at - now)
end
redis.call('SADD', KEYS[4], ARGV[9])
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ARGV[8])
end
return {inside, wait_ms, redis.call('ZRANK', waiting, member) or 0, entered}
