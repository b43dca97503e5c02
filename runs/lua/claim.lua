-- Gives a worker the tasks that it may start now, each under a short lease, in one round trip.
-- A lease is a time in the queue: a task that is held is due again when its lease ends, and a worker that lives puts
-- that off for all its tasks by one command. So nobody looks at a held task, however many there are, and a killed
-- worker's tasks are found at the very moment when they are free. Redis's own clock rules; workers' may differ.
-- KEYS: 1 queue · 2 wake · 3 runs that are due
-- ARGV: 1 at most so many · 2 lease ms
-- Answers {ids and scores in turn, now ms, when the next task is due or '', when the next run is due or ''}. If more
-- could be started than this worker has room for, another one is woken.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local room = math.min(tonumber(ARGV[1]), 1000)  -- Lua hands on a few thousand values at most.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, room + 1)
local claimed, leases = {}, {}
for i = 1, math.min(#due, 2 * room) do
  claimed[i] = due[i]
  leases[i] = i % 2 == 1 and now + ARGV[2] or due[i - 1]
end
if #leases > 0 then
  redis.call('ZADD', KEYS[1], 'XX', unpack(leases))
end
if #due > #claimed and redis.call('LLEN', KEYS[2]) < 8 then
  redis.call('RPUSH', KEYS[2], 1)
  redis.call('PEXPIRE', KEYS[2], 60000)
end
local next_task = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local next_run = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {claimed, now, next_task[2] or '', next_run[2] or ''}
