#!lua flags=allow-oom
-- Notes that a worker lives and how many units it holds, and forgets those that did not say so in time.
-- KEYS: the workers. ARGV: the worker, its units, for how many milliseconds that counts.
-- Gives every worker and its units.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', ends) .. ' ' .. ARGV[2])
local all = redis.call('HGETALL', KEYS[1])
local lives = {}
for at = 1, #all, 2 do
  local its_ends, units = string.match(all[at + 1], '^(%d+) (%d+)$')
  its_ends = tonumber(its_ends) or 0
  -- What ends later than what begins now is from before the clock was set back.
  if its_ends <= now or its_ends > ends + 60000 then
    redis.call('HDEL', KEYS[1], all[at])
  else
    lives[#lives + 1] = all[at]
    lives[#lives + 1] = units
  end
end
return lives
