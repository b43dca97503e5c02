-- Keeps callbacks that arrived together, each once, and queues the look-up that it asks for.
-- KEYS: 1 callbacks by time · 2 queue · 3 wake
-- ARGV: 1 now ms · 2 kept for ms · 3 task life ms · then for each: seen key, callback key, callback id, record,
--       task id ('' = none), definition, ending key ('' = it says nothing about the job's end)
-- Answers 1 (new) or 0 (repeat) for each; a callback that we gave before (by the spool, after an answer that we missed)
-- is no repeat of itself. 'seen' is written last: if Redis refuses half-way, the provider's next try
-- counts as new, and a task that is queued twice does no harm.
local answers = {}
for i = 4, #ARGV, 7 do
  local first = redis.call('GET', ARGV[i])
  if first == ARGV[i + 1] then
    answers[#answers + 1] = 1
  elseif first then
    redis.call('HINCRBY', first, 'repeats', 1)
    answers[#answers + 1] = 0
  else
    if ARGV[i + 4] ~= '' then
      enqueue(KEYS[2], KEYS[3], ARGV[i + 4], ARGV[i + 5], ARGV[1], ARGV[3])
    end
    redis.call('HSET', ARGV[i + 1], 'record', ARGV[i + 3])
    if ARGV[i + 6] ~= '' then
      redis.call('SET', ARGV[i + 6], ARGV[i + 1], 'NX', 'PX', ARGV[2])
      local ending = redis.call('GET', ARGV[i + 6])
      if ending ~= ARGV[i + 1] then
        redis.call('HSET', ARGV[i + 1], 'conflict', ending)
      end
    end
    redis.call('PEXPIRE', ARGV[i + 1], ARGV[2])
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i + 2])
    redis.call('SET', ARGV[i], ARGV[i + 1], 'PX', ARGV[2])
    answers[#answers + 1] = 1
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
return answers
