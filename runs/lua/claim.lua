-- Gives a worker the tasks that it may start now, each under a short lease, in one round trip.
-- KEYS: 1 queue · 2 wake · 3 runs that are due
-- ARGV: 1 now ms · 2 at most so many · 3 lease ms · 4 worker id
-- Answers {ids and scores in turn, next score or '', next due run or ''}. Leased tasks are skipped here, not by the
-- worker; if more could be started than this worker has room for, another one is woken.
local claimed, room, offset = {}, tonumber(ARGV[2]), 0
local more = false
while true do
  local page = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', offset, 100)
  for i = 1, #page, 2 do
    if room == 0 then
      more = redis.call('EXISTS', 'arq:in-progress:' .. page[i]) == 0
    elseif redis.call('SET', 'arq:in-progress:' .. page[i], ARGV[4], 'NX', 'PX', ARGV[3]) then
      claimed[#claimed + 1] = page[i]
      claimed[#claimed + 1] = page[i + 1]
      room = room - 1
    end
    if more then break end
  end
  offset = offset + 100
  if more or #page < 200 then break end
end
if more and redis.call('LLEN', KEYS[2]) < 8 then
  redis.call('RPUSH', KEYS[2], 1)
  redis.call('PEXPIRE', KEYS[2], 60000)
end
local next_task = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local next_run = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {claimed, next_task[2] or '', next_run[2] or ''}
