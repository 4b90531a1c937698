-- What the functions share. Each file beside this one says which steps of `store/steps/` it mirrors;
-- they are one library, in the order in which `library.rs` lists them.
--
-- A function runs alone: nothing else changes the store while it does. But nothing is undone when it
-- fails, so each looks first, refuses what it has to, and then writes. Its first key is the store's
-- root and its first argument a generation, or nothing for the one in force. Moments are
-- milliseconds. `now` is the caller's: what is alive is decided by it alone, and the times to live
-- of keys, which Redis counts by its own clock, only clear away.
--
-- Numbers are doubles here: exact up to 2^53, which `codec.rs` sees to.

-- While the library is loaded, none of these is there yet.
local function call(...)
  return redis.call(...)
end

local function packed(value)
  return cmsgpack.pack(value)
end

local function unpacked(value)
  return cmsgpack.unpack(value)
end

-- How long a key outlives what is in it: clocks may differ, and a test's may stand still.
local MARGIN = 60 * 60 * 1000
-- How far a session's end may move before it is looked whether its key lives long enough.
local SLICE = MARGIN / 2
-- The places in a session. The last three are its visits by the day.
local EPOCH, CREATED, EXPIRES, IDLE, SEEN, VISITS = 1, 2, 3, 4, 5, 6
local NUMBER, AT, LEFT, LEFT_AT, REMEMBER, TRANSPORT, AGENT, COPIED = 7, 8, 9, 10, 11, 12, 13, 14
local DAY, TODAY, EARLIER = 15, 16, 17
-- How many of them are arguments: all but those by the day.
local SESSION_FIELDS = 14

-- What a root begins with while it is closed: `generations.lua`.
local CLOSED = '!'

local function open_one(generation)
  if generation:sub(1, 1) == CLOSED then
    error({ err = 'REPLACING the store is being replaced by a backup; if that was interrupted, run it again' })
  end
  return generation
end

-- A key that is never there. While a slot moves to another node, Redis stops a function at the first
-- command about a key that is missing, which may be in the middle of its writes. So each function looks
-- for this one before it writes, and is stopped there.
local NEVER = ':never'

-- What the root holds, where its slot stays.
local function at_root(keys)
  return call('MGET', keys[1], keys[1] .. NEVER)[1]
end

-- What the store's keys begin with. Its root holds the name of the generation in force: a restored
-- backup is another one, and comes into force whole.
local function prefix(keys, args)
  local generation, in_force = args[1], at_root(keys)
  if generation == '' then
    generation = open_one(in_force or '0')
  end
  return keys[1] .. ':' .. generation .. ':'
end

-- What `look` found the last time, by the root: the generation in force and its keys.
local last_seen = {}

local function place(root, generation)
  local p = root .. ':' .. generation .. ':'
  return { generation, p, p .. 'epoch', p .. 'x', root .. NEVER }
end

-- `prefix`, the epoch in force and the exports that are under way, in one look. Where those lie
-- depends on the generation in force; so they are looked for where they were the last time, and
-- whether that is still the place is part of what is seen.
local function look(keys, args)
  local root, named = keys[1], args[1] ~= '' and args[1]
  local at = named and place(root, named) or last_seen[root] or place(root, '0')
  local found = call('MGET', root, at[3], at[4], at[5])
  local generation = named or found[1] or '0'
  if at[1] ~= generation then
    at = place(root, open_one(generation))
    found = call('MGET', root, at[3], at[4])
  end
  if not named then
    last_seen[root] = at
  end
  return at[2], found[2] and tonumber(found[2]) or 0, found[3] or ''
end

-- What `one` answers to each item from an argument on, with these before it. Items are done one after
-- the other; what is wrong with one is told in its place, as a list that begins with false, and the
-- others are as if it were not there.
local function each(args, first, one, ...)
  local answers, given, count = {}, { ... }, select('#', ...)
  for at = first, #args do
    given[count + 1] = args[at]
    local is_well, answer = pcall(one, unpack(given, 1, count + 1))
    if not is_well then
      answer = { false, type(answer) == 'table' and answer.err or tostring(answer) }
    end
    answers[#answers + 1] = answer
  end
  return answers
end

-- The time of this server in milliseconds.
local function server_time()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function damaged(kind, reason)
  return redis.error_reply('DAMAGED ' .. kind .. ': ' .. reason)
end

-- Whether one id comes before another: byte by byte, for Lua compares by the server's locale.
local function before(one, other)
  for at = 1, math.min(#one, #other) do
    local a, b = one:byte(at), other:byte(at)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

-- Sees that a key lives for so long. Where it has to live longer, a quarter is added, so that not
-- every use of a session has to say so again.
local function live_on(key, millis)
  millis = math.max(millis, 0) + MARGIN
  if call('PTTL', key) < millis then
    call('PEXPIRE', key, math.floor(millis + millis / 4))
  end
end

-- steps::epoch
local function epoch(p)
  return tonumber(call('GET', p .. 'epoch') or 0)
end

-- steps::is_alive
local function is_alive(session, in_force, now)
  return session[EPOCH] == in_force and now < session[EXPIRES] and now < session[IDLE]
end

-- A session as it is kept, and answered: one value behind the other. Its moments are counted from
-- its log-in, which makes them small.
local function closed(s)
  local from = s[CREATED]
  return cmsgpack.pack(
    s[EPOCH], from, s[EXPIRES] - from, s[IDLE] - from, s[SEEN] - from, s[VISITS],
    s[NUMBER], s[AT] - from, s[LEFT], s[LEFT_AT] - from,
    s[REMEMBER], s[TRANSPORT], s[AGENT], s[COPIED], s[DAY], s[TODAY], s[EARLIER]
  )
end

local function opened(value)
  local epoch, from, expires, idle, seen, visits, number, at, left, left_at,
    remember, transport, agent, copied, day, today, earlier = cmsgpack.unpack(value)
  return {
    epoch, from, from + expires, from + idle, from + seen, visits,
    number, from + at, left, from + left_at,
    remember, transport, agent, copied, day, today, earlier,
  }
end

-- All sessions of an account, dead ones included: of each its id, itself, and as it is kept.
local function all_sessions(p, account)
  local flat = call('HGETALL', p .. 's' .. account)
  local all = {}
  for at = 1, #flat, 2 do
    all[#all + 1] = { flat[at], opened(flat[at + 1]), flat[at + 1] }
  end
  return all
end

-- steps::load_living_session
local function living_session(p, account, id, now, in_force)
  local value = call('HGET', p .. 's' .. account, id)
  if not value then
    return nil
  end
  local session = opened(value)
  return is_alive(session, in_force or epoch(p), now) and session or nil
end

-- When a session ends.
local function end_of(session)
  return math.min(session[EXPIRES], session[IDLE])
end

-- Returns what is kept. Where the key was seen to live long enough for an end in the same slice of
-- time, it need not be looked at again.
local function save_session(p, account, id, session, now, seen_to)
  local key, value = p .. 's' .. account, closed(session)
  call('HSET', key, id, value)
  local last = end_of(session)
  if not seen_to or math.floor(seen_to / SLICE) ~= math.floor(last / SLICE) then
    live_on(key, last - now)
  end
  return value
end

-- Session::use_at
local function use(session, now, idle_end)
  session[IDLE] = math.max(session[IDLE], math.min(idle_end, session[EXPIRES]))
  session[SEEN] = now
end

-- Visits by the day, as `VisitDays` has them: the latest day with a visit, its visits, those of the
-- day before, and so on; without visits, day 0 and none.
local KEPT_DAYS = 14
local MILLIS_OF_DAY = 24 * 60 * 60 * 1000
local MOST_OF_DAY = 4294967295

-- Without zeros at its two ends. What has nothing but zeros is empty.
local function normal(days)
  while #days > 1 and days[#days] == 0 do
    days[#days] = nil
  end
  while #days > 1 and days[2] == 0 do
    table.remove(days, 2)
    days[1] = days[1] - 1
  end
  if #days == 1 then
    days[1] = 0
  end
end

-- VisitDays::add
local function add_day(days, day, count)
  if count == 0 then
    return
  end
  if #days == 1 then
    days[1] = day
  end
  while days[1] < day do
    -- From far away, nothing is left.
    if day - days[1] > KEPT_DAYS then
      days[1] = day
      for at = 2, #days do
        days[at] = 0
      end
    else
      days[1] = days[1] + 1
      table.insert(days, 2, 0)
      days[KEPT_DAYS + 2] = nil
    end
  end
  local place = days[1] - day + 2
  if place <= KEPT_DAYS + 1 then
    for at = #days + 1, place do
      days[at] = 0
    end
    days[place] = math.min(days[place] + count, MOST_OF_DAY)
  end
  normal(days)
end

-- VisitDays::add_all
local function add_days(days, others)
  for at = 2, #others do
    add_day(days, others[1] - at + 2, others[at])
  end
end

-- What is left of days without these others of them.
local function without_days(days, others)
  for at = 2, #others do
    local place = days[1] - (others[1] - at + 2) + 2
    if place >= 2 and place <= #days then
      days[place] = math.max(days[place] - others[at], 0)
    end
  end
  normal(days)
end

-- Days are kept as the latest one, its visits, and those of the days before it, packed.
local function days_of(day, today, earlier)
  if today == 0 then
    return { 0 }
  end
  return { day, today, cmsgpack.unpack(earlier) }
end

local function parts_of(days)
  return days[1], days[2] or 0, #days > 2 and cmsgpack.pack(unpack(days, 3)) or ''
end

local function session_days(session)
  return days_of(session[DAY], session[TODAY], session[EARLIER])
end

-- The parts, with one visit more on a day.
local function one_more(on, day, today, earlier)
  if on == day and today > 0 then
    return day, math.min(today + 1, MOST_OF_DAY), earlier
  end
  local days = days_of(day, today, earlier)
  add_day(days, on, 1)
  return parts_of(days)
end

-- The visits over all sessions of an account, and those of the latest days.
local function visits_of(p, account)
  local value = call('HGET', p .. 'a' .. account, 'n')
  if value then
    local total, day, today, earlier = cmsgpack.unpack(value)
    return { total, days_of(day, today, earlier) }
  end
  return { 0, { 0 } }
end

local function save_visits(p, account, visits)
  call('HSET', p .. 'a' .. account, 'n', cmsgpack.pack(visits[1], parts_of(visits[2])))
end

-- Counts so many visits of an account, of which one is on this day.
local function count_visit(p, account, count, on)
  local key = p .. 'a' .. account
  local value, total, day, today, earlier = call('HGET', key, 'n'), 0, 0, 0, ''
  if value then
    total, day, today, earlier = cmsgpack.unpack(value)
  end
  call('HSET', key, 'n', cmsgpack.pack(total + count, one_more(on, day, today, earlier)))
end

-- How many of the latest ends are kept, for nodes that follow them: `ends.lua`.
local MOST_ENDS = 10000

-- Says that sessions of an account end, or of every account, where that is empty. Said before it is
-- done: what is said and not done only makes nodes ask once more.
local function tell_end(p, account)
  local ends = p .. 'ends'
  call('XADD', ends, 'MAXLEN', '~', MOST_ENDS, '*', 'a', account)
  call('PEXPIRE', ends, MARGIN)
end

-- Takes sessions out, and their variables with them. Their visits stay: an account's total is
-- counted with each visit, because a session that Redis clears away tells nobody.
local function remove_sessions(p, account, ids)
  if #ids > 0 then
    tell_end(p, account)
  end
  for _, id in ipairs(ids) do
    call('HDEL', p .. 's' .. account, id)
    call('UNLINK', p .. 'v' .. account .. id)
  end
end

-- What an account has, to be exported: its id, itself or false, its sessions, their variables. Its
-- visits are those of sessions that are gone.
local function bundle(p, account)
  local record = call('HMGET', p .. 'a' .. account, 'e', 'p', 's', 'r', 'c', 'x')
  local visits = visits_of(p, account)
  local sessions, variables = {}, {}
  for at, one in ipairs(all_sessions(p, account)) do
    sessions[at] = { one[1], one[3] }
    visits[1] = visits[1] - one[2][VISITS]
    without_days(visits[2], session_days(one[2]))
    local kept = call('HGETALL', p .. 'v' .. account .. one[1])
    if #kept > 0 then
      table.insert(kept, 1, one[1])
      variables[#variables + 1] = kept
    end
  end
  record[7], record[8] = math.max(visits[1], 0), visits[2]
  return { account, record[1] and record or false, sessions, variables }
end

-- How long the name of an export is.
local EXPORT = 32

-- Called before anything of an account changes, with the exports that are under way. One shows the
-- moment at which it began: of an account that it has not come to yet, it keeps what is there.
local function keep_for(p, account, exports)
  for first = 1, #exports, EXPORT do
    local export = p .. 'x' .. exports:sub(first, first + EXPORT - 1)
    local at = call('HGET', export, 'at')
    if at and before(at, account) and call('HEXISTS', export, '.' .. account) == 0 then
      call('HSET', export, '.' .. account, packed(bundle(p, account)))
    end
  end
end

local function touch(p, account)
  keep_for(p, account, call('GET', p .. 'x') or '')
end

-- The account that has the e-mail. Members of the index are `e-mail, zero byte, account`; no e-mail
-- has a zero byte.
local function owner_of(p, email)
  local found =
    call('ZRANGEBYLEX', p .. 'e', '[' .. email .. '\0', '(' .. email .. '\1', 'LIMIT', 0, 1)
  return found[1] and found[1]:sub(-16) or nil
end

local function account_exists(p, account)
  return call('HEXISTS', p .. 'a' .. account, 'e') == 1
end

-- Which run of Redis this is, as long as it is the primary: what a replica has may be late.
local function this_run()
  if not call('INFO', 'replication'):match('role:master') then
    return nil, redis.error_reply('READONLY it is a replica')
  end
  return call('INFO', 'server'):match('run_id:(%x+)')
end

-- A function's name ends in the library's version: nodes of two versions do not meet.
local function register(name, callback, flags)
  redis.register_function {
    function_name = 'cs_' .. name .. '_@VERSION@',
    callback = callback,
    flags = flags or {},
  }
end

local READS = { 'no-writes' }
-- What ends sessions is done also where memory is full: it makes room.
local ENDS = { 'allow-oom' }
