-- Audit events: steps/audit.rs. A trail is a row of numbered pages, each a list of its own, so that
-- an event is one push and the oldest go page by page.
--
-- An event is `its moment, a space, how many sessions ended, a space, the rest`. What a function is
-- given to write one down are the five arguments from `at` on: trail, pages to keep, how long a page
-- lives after its last event, moment, rest.

local EVENTS_IN_PAGE = 32
local MOST_SWEPT = 64

local function event_page(p, trail, number)
  return p .. 'l' .. trail .. ':' .. number
end

local function remove_page(p, trail, number)
  call('UNLINK', event_page(p, trail, number))
  call('ZREM', p .. 'l' .. trail, number)
end

-- audit::append
local function write_event(p, args, at, ended)
  local trail, most, keep = args[at], tonumber(args[at + 1]), tonumber(args[at + 2])
  local open = tonumber(call('GET', p .. 'o' .. trail) or -1)
  local page = event_page(p, trail, open)
  local count = open < 0 and EVENTS_IN_PAGE or call('LLEN', page)
  -- A page that was cleared away is not begun again: its numbers were given out.
  local is_cleared = count == 0 and call('ZSCORE', p .. 'l' .. trail, open)
  if count >= EVENTS_IN_PAGE or is_cleared then
    open = open + 1
    page = event_page(p, trail, open)
    call('SET', p .. 'o' .. trail, open)
    local pages = p .. 'l' .. trail
    for _, old in ipairs(call('ZRANGEBYSCORE', pages, '-inf', '(' .. (open + 1 - most))) do
      remove_page(p, trail, old)
    end
    local oldest = call('ZRANGE', pages, 0, 0)[1]
    if oldest and call('EXISTS', event_page(p, trail, oldest)) == 0 then
      remove_page(p, trail, oldest)
    end
    count = 0
  end
  call('RPUSH', page, args[at + 3] .. ' ' .. ended .. ' ' .. args[at + 4])
  if count == 0 then
    call('ZADD', p .. 'l' .. trail, open, open)
  end
  call('PEXPIRE', page, keep + MARGIN)
end

register('write_event', function(keys, args)
  write_event(prefix(keys, args), args, 2, 0)
  return 1
end)

-- Where each trail ends: the number of its latest page, and how many events are in it.
local function ends_of_trails(p)
  local ends = {}
  for at, trail in ipairs { 'c', 'o' } do
    local open = tonumber(call('GET', p .. 'o' .. trail) or 0)
    ends[at] = { open, call('LLEN', event_page(p, trail, open)) }
  end
  return ends
end

register('event_ends', function(keys, args)
  return ends_of_trails(prefix(keys, args))
end, READS)

-- The pages of a trail with these numbers. What is not there has no events.
register('event_pages', function(keys, args)
  local p, pages = prefix(keys, args), {}
  for at = 3, #args do
    pages[#pages + 1] = call('LRANGE', event_page(p, args[2], args[at]), 0, -1)
  end
  return pages
end, READS)

local function is_over(p, trail, number, over)
  local last = call('LRANGE', event_page(p, trail, number), -1, -1)[1]
  return not last or tonumber(last:match('^%S+')) <= over
end

-- audit::find_over and remove_over. Returns how many pages were removed.
register('sweep_events', function(keys, args)
  local p, over, most = prefix(keys, args), tonumber(args[2]), tonumber(args[3])
  local removed = 0
  for _, trail in ipairs { 'c', 'o' } do
    local open = tonumber(call('GET', p .. 'o' .. trail) or -1)
    -- From the oldest on, so that what is left has no gap, also when the clock was set back.
    local all_are_over = true
    for _, number in ipairs(call('ZRANGE', p .. 'l' .. trail, 0, MOST_SWEPT)) do
      local n = tonumber(number)
      if n ~= open then
        if removed == MOST_SWEPT or n >= open + 1 - most and not is_over(p, trail, number, over) then
          all_are_over = false
          break
        end
        remove_page(p, trail, number)
        removed = removed + 1
      end
    end
    local is_begun = open >= 0 and call('LLEN', event_page(p, trail, open)) > 0
    if all_are_over and is_begun and is_over(p, trail, open, over) then
      remove_page(p, trail, open)
      call('SET', p .. 'o' .. trail, open + 1)
      removed = removed + 1
    end
  end
  return removed
end)
