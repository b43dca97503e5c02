-- Puts tasks where arq's workers find them: arq's own layout, under our prefix.
-- given[from], given[from + 1], … are id and definition of each, alternating. A definition is only added if it is
-- missing, and so is a queue entry: a step that waits or runs is not duplicated, and one that lost either half is
-- completed. One token wakes one idle worker. All share one time, and so need few commands: each command costs more than
-- its work. That time is rest_ms from now by Redis's own clock, as in `claim.lua`: a task dated by a machine whose clock
-- is ahead would wait until then.
local function enqueue(queue, wake, given, from, rest_ms, life_ms)
  if #given < from then
    return
  end
  local clock = redis.call('TIME')
  local score = clock[1] * 1000 + math.floor(clock[2] / 1000) + rest_ms
  local queued, new = {}, 0
  for i = from, #given, 2 do
    if redis.call('SET', '{framerelay}:arq:job:' .. given[i], given[i + 1], 'NX', 'PX', life_ms) then
      new = new + 1
    end
    queued[#queued + 1] = score
    queued[#queued + 1] = given[i]
  end
  new = math.max(new, redis.call('ZADD', queue, 'NX', unpack(queued)))
  new = math.min(new, 8 - redis.call('LLEN', wake))
  for _ = 1, new do
    redis.call('RPUSH', wake, 1)
  end
  if new > 0 then
    redis.call('PEXPIRE', wake, 60000)
  end
end
