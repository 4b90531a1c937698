-- Attempts at passwords: steps/attempts.rs and the table of records/attempts.rs. A place of the table
-- is a hash by the rest of the key; its value is `count, a space, the moment when it is forgotten`.

local ATTEMPTS_IN_PLACE = 16
local MOST_ATTEMPTS = 4294967295

local function place_of(p, key)
  return p .. 't' .. key:sub(1, 2), key:sub(3)
end

local function attempts_in(value)
  local count, till = value:match('^(%d+) (%S+)$')
  return tonumber(count), tonumber(till)
end

-- Bucket::forget_over. Returns what is left, as triples of rest, count, end.
local function forget_over(place, now)
  local flat, left = call('HGETALL', place), {}
  for at = 1, #flat, 2 do
    local count, till = attempts_in(flat[at + 1])
    if till <= now then
      call('HDEL', place, flat[at])
    else
      left[#left + 1] = { flat[at], count, till }
    end
  end
  return left
end

-- Bucket::count
local function count_one(p, key, now, till)
  local place, rest = place_of(p, key)
  local left = forget_over(place, now)
  local count, fewest = 0, nil
  for _, entry in ipairs(left) do
    if entry[1] == rest then
      count, till = entry[2], entry[3]
    end
    if not fewest or entry[2] < fewest[2] or entry[2] == fewest[2] and entry[3] < fewest[3] then
      fewest = entry
    end
  end
  if count == 0 and #left >= ATTEMPTS_IN_PLACE then
    call('HDEL', place, fewest[1])
  end
  count = math.min(count + 1, MOST_ATTEMPTS)
  call('HSET', place, rest, count .. ' ' .. string.format('%.0f', till))
  call('ZADD', p .. 'u', 0, key:sub(1, 2))
  live_on(place, till - now)
end

-- attempts::count: the keys are behind the event, if there is one.
register('count_attempt', function(keys, args)
  local p, now, till, has_event = prefix(keys, args), tonumber(args[2]), tonumber(args[3]), args[4]
  for at = 10, #args do
    count_one(p, args[at], now, till)
  end
  if has_event == '1' then
    write_event(p, args, 5, 0)
  end
  return 1
end)

-- attempts::find
register('attempts', function(keys, args)
  local p, now, found = prefix(keys, args), tonumber(args[2]), {}
  for at = 3, #args do
    local place, rest = place_of(p, args[at])
    local value = call('HGET', place, rest)
    local count, till = 0, now
    if value then
      local counted, counted_till = attempts_in(value)
      if now < counted_till then
        count, till = counted, counted_till
      end
    end
    found[#found + 1] = { count, till }
  end
  return found
end, READS)

-- attempts::forget
register('forget_attempts', function(keys, args)
  local p = prefix(keys, args)
  local place, rest = place_of(p, args[2])
  if call('HDEL', place, rest) == 1 and call('EXISTS', place) == 0 then
    call('ZREM', p .. 'u', args[2]:sub(1, 2))
  end
  return 1
end)
