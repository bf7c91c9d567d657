#!lua flags=no-writes
-- Gives entries of a stream that a connection has not applied, as far as their keys are in some slots.
-- KEYS: the stream; the hash of applied positions.
-- ARGV: the connection; the entry behind which to look, or ''; the last to look at; how many to look at; how many bytes
-- of a record to give; the slots, or '*'.
local from = ARGV[2]
-- Numbers of 64 bits do not fit Lua's; as text of one length they compare.
local function wide(ms, seq) return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq end
if from == '' then
  from = '0-0'
  local applied = redis.call('HGET', KEYS[2], ARGV[1])
  local ms, seq = string.match(applied or '', '^%S+ (%d+) (%d+)$')
  local info = ms and redis.pcall('XINFO', 'STREAM', KEYS[1]) or {}
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then
      -- A stream that began anew has applied nothing.
      local last_ms, last_seq = string.match(info[at + 1], '^(%d+)-(%d+)$')
      if wide(last_ms, last_seq) >= wide(ms, seq) then
        from = ms .. '-' .. seq
      end
    end
  end
end
local wanted = {}
for at = 6, #ARGV do
  wanted[ARGV[at]] = true
end
local entries = redis.call('XRANGE', KEYS[1], '(' .. from, ARGV[3], 'COUNT', ARGV[4])
local found = {}
for _, entry in ipairs(entries) do
  local record, order = '', ''
  for at = 1, #entry[2], 2 do
    if entry[2][at] == 'r' then
      record = entry[2][at + 1]
    elseif entry[2][at] == 'o' then
      order = entry[2][at + 1]
    end
  end
  if wanted['*'] or wanted[string.match(order, '^%x+')] then
    found[#found + 1] = {entry[1], order, string.sub(record, 1, tonumber(ARGV[5]))}
  end
end
local last = #entries == tonumber(ARGV[4]) and entries[#entries][1] or ''
return {last, found}
