-- Sessions and what is kept in them: steps/sessions.rs, visits.rs, variables.rs.

-- A succession is eight arguments from `at` on: the session that ends, the id of the one that goes
-- on, now, whether the password was shown, and the absolute and the idle end that follow, each
-- without and with `remember`.
local SUCCESSION = 8

-- The session that may go on; nothing, if it is not alive, or what is wrong.
local function may_succeed(p, account, args, at)
  local session = living_session(p, account, args[at], tonumber(args[at + 2]))
  if session and call('HEXISTS', p .. 's' .. account, args[at + 1]) == 1 then
    return nil, damaged('session', 'its id is taken')
  end
  return session
end

-- sessions::succeed and Succession::successor, of a session that may. Returns what is kept.
local function succeed(p, account, session, args, at)
  local from, to, now = args[at], args[at + 1], tonumber(args[at + 2])
  local remember = session[REMEMBER]
  session[NUMBER], session[AT] = session[VISITS], now
  session[LEFT], session[LEFT_AT] = session[VISITS], now
  if args[at + 3] == '1' then
    session[CREATED] = now
    session[EXPIRES] = tonumber(args[at + 4 + remember])
    session[IDLE] = now
  end
  use(session, now, tonumber(args[at + 6 + remember]))
  tell_end(p, account)
  call('HDEL', p .. 's' .. account, from)
  local value = save_session(p, account, to, session, now)
  local old, new = p .. 'v' .. account .. from, p .. 'v' .. account .. to
  if call('EXISTS', old) == 1 then
    call('RENAME', old, new)
    live_on(new, session[EXPIRES] - now)
  end
  return value
end

-- accounts::end_all: how many of them were in force
local function end_all(p, account, keep)
  local in_force, ended, ids = epoch(p), 0, {}
  for _, one in ipairs(all_sessions(p, account)) do
    if one[1] ~= keep then
      ids[#ids + 1] = one[1]
      if one[2][EPOCH] == in_force then
        ended = ended + 1
      end
    end
  end
  remove_sessions(p, account, ids)
  return ended
end

-- More dead sessions than this do not stay in an account: a log-in sweeps them away.
local MOST_DEAD = 64

-- sessions::create
register('create_session', function(keys, args)
  local p, account, id = prefix(keys, args), args[2], args[3]
  local checked, most = args[4], tonumber(args[5])
  local session = {}
  for field = 1, SESSION_FIELDS do
    session[field] = tonumber(args[5 + field])
  end
  session[AGENT] = args[5 + AGENT]
  session[COPIED] = session[COPIED] or false
  session[DAY], session[TODAY], session[EARLIER] = 0, 0, ''
  local now = session[CREATED]
  local record = call('HMGET', p .. 'a' .. account, 's', 'p', 'x')
  if record[1] ~= 'a' or record[2] ~= checked then
    return { 0 }
  end
  if call('HEXISTS', p .. 's' .. account, id) == 1 then
    return damaged('session', 'its id is taken')
  end
  touch(p, account)
  session[EPOCH] = epoch(p)
  local others, gone, ended = {}, {}, {}
  for _, one in ipairs(all_sessions(p, account)) do
    if is_alive(one[2], session[EPOCH], now) then
      others[#others + 1] = one
    else
      gone[#gone + 1] = one[1]
    end
  end
  table.sort(others, function(one, other)
    if one[2][CREATED] ~= other[2][CREATED] then
      return one[2][CREATED] < other[2][CREATED]
    end
    return before(one[1], other[1])
  end)
  for at = 1, math.min(#others, #others + 1 - most) do
    ended[at] = others[at][1]
  end
  if record[3] then
    session[COPIED] = tonumber(record[3])
    call('HDEL', p .. 'a' .. account, 'x')
  end
  if #gone > MOST_DEAD then
    remove_sessions(p, account, gone)
  end
  remove_sessions(p, account, ended)
  local value = save_session(p, account, id, session, now)
  if session[VISITS] > 0 then
    local visits = visits_of(p, account)
    visits[1] = visits[1] + session[VISITS]
    save_visits(p, account, visits)
  end
  write_event(p, args, 6 + SESSION_FIELDS, #ended)
  return { 1, value, ended, #ended > 0 and this_run() }
end)

-- sessions::find, of many: an account, a session and now, in one item.
local function living_value(p, in_force, item)
  local account, id, now = struct.unpack('<c16c16i8', item)
  local value = call('HGET', p .. 's' .. account, id)
  if value then
    -- What `is_alive` looks at, and no more: a check is asked most of all.
    local _, epoch, from, expires, idle = cmsgpack.unpack_limit(value, 4, 0)
    local age = now - from
    if epoch == in_force and age < expires and age < idle then
      return value
    end
  end
  return false
end

register('session', function(keys, args)
  local p, in_force = look(keys, args)
  return each(args, 2, living_value, p, in_force)
end, READS)

-- sessions::list. The caller sorts them.
register('sessions', function(keys, args)
  local p, now = prefix(keys, args), tonumber(args[3])
  local in_force, living = epoch(p), {}
  for _, one in ipairs(all_sessions(p, args[2])) do
    if is_alive(one[2], in_force, now) then
      living[#living + 1] = { one[1], one[3] }
    end
  end
  return living
end, READS)

local function belongs(number, visits, prev)
  return number == visits or number == prev
end

-- visits::visit, Session::is_copied, Chain::has_left and go_on. An item is the ids, numbers, the policy
-- for copies (revoke, refuse or ignore) and an event. Returns the session, 0 if it is absent, 2 if
-- copied, or where it was ended for that.
local REVOKE, REFUSE = ('v'):byte(), ('f'):byte()

local function visit(p, in_force, exports, trail, item)
  local account, id, now, transport, visits, prev, signed_with_grace, grace, idle, remember_idle, policy, event =
    struct.unpack('<c16c16i8i8i8i8i8di8i8B', item)
  -- Nothing is written for a session that is not alive: a late answer revives nothing.
  local session = living_session(p, account, id, now, in_force)
  if not session or session[TRANSPORT] ~= transport then
    return 0
  end
  local is_judged = policy == REVOKE or policy == REFUSE
  if transport == 0 and is_judged and not belongs(session[NUMBER], visits, prev) then
    local is_recent = session[AT] <= signed_with_grace
    local was_resting = belongs(session[LEFT], visits, prev) and now <= session[LEFT_AT] + grace
    if not is_recent and not was_resting then
      if policy == REVOKE then
        keep_for(p, account, exports)
        remove_sessions(p, account, { id })
        if account_exists(p, account) then
          call('HSET', p .. 'a' .. account, 'x', now)
        end
        local moment = string.format('%.0f', now)
        write_event(p, { trail[1], trail[2], trail[3], moment, item:sub(event) }, 1, 1)
        return { this_run() }
      end
      return 2
    end
  end
  keep_for(p, account, exports)
  local was, was_end, day = session[VISITS], end_of(session), math.floor(now / MILLIS_OF_DAY)
  session[VISITS] = math.max(was, visits) + 1
  if visits ~= session[NUMBER] and now > session[LEFT_AT] + grace / 2 then
    session[LEFT], session[LEFT_AT] = session[NUMBER], now
  end
  session[NUMBER], session[AT] = visits, now
  use(session, now, session[REMEMBER] == 1 and remember_idle or idle)
  session[DAY], session[TODAY], session[EARLIER] =
    one_more(day, session[DAY], session[TODAY], session[EARLIER])
  count_visit(p, account, session[VISITS] - was, day)
  return save_session(p, account, id, session, now, was_end)
end

register('visit', function(keys, args)
  local p, in_force, exports = look(keys, args)
  return each(args, 5, visit, p, in_force, exports, { args[2], args[3], args[4] })
end)

-- sessions::renew
register('renew', function(keys, args)
  local p, account, id, now = prefix(keys, args), args[2], args[3], tonumber(args[4])
  local session = living_session(p, account, id, now)
  if not session then
    return false
  end
  touch(p, account)
  use(session, now, tonumber(args[5]))
  return save_session(p, account, id, session, now)
end)

-- sessions::revoke and revoke_copied
register('revoke', function(keys, args)
  local p, account, id, now = prefix(keys, args), args[2], args[3], tonumber(args[4])
  if not living_session(p, account, id, now) then
    return 0
  end
  touch(p, account)
  remove_sessions(p, account, { id })
  if args[5] == '1' and account_exists(p, account) then
    call('HSET', p .. 'a' .. account, 'x', now)
  end
  write_event(p, args, 6, 1)
  return 1
end, ENDS)

-- sessions::revoke_all_of
register('revoke_others', function(keys, args)
  local p, account, keep, now = prefix(keys, args), args[2], args[3], tonumber(args[4])
  local in_force, ids = epoch(p), {}
  for _, one in ipairs(all_sessions(p, account)) do
    if one[1] ~= keep and is_alive(one[2], in_force, now) then
      ids[#ids + 1] = one[1]
    end
  end
  if #ids > 0 then
    touch(p, account)
    remove_sessions(p, account, ids)
    write_event(p, args, 5, #ids)
  end
  return #ids
end, ENDS)

-- sessions::revoke_all. Of several shards one has the event.
register('revoke_all', function(keys, args)
  local p = prefix(keys, args)
  tell_end(p, '')
  call('INCR', p .. 'epoch')
  if args[2] ~= '' then
    write_event(p, args, 2, 0)
  end
  return 1
end, ENDS)

-- variables::find
register('variables', function(keys, args)
  local p, account, id = prefix(keys, args), args[2], args[3]
  if not living_session(p, account, id, tonumber(args[4])) then
    return false
  end
  return call('HGETALL', p .. 'v' .. account .. id)
end, READS)

-- variables::change and Variables::set, whose bounds come along: of a name, of a value, how many,
-- of all together
register('change_variable', function(keys, args)
  local p, account, id, now = prefix(keys, args), args[2], args[3], tonumber(args[4])
  local name, has_value, value = args[5], args[6] == '1', args[7]
  local session = living_session(p, account, id, now)
  if not session then
    return { 0 }
  end
  local key = p .. 'v' .. account .. id
  if not has_value then
    touch(p, account)
    return { 1, call('HDEL', key, name) }
  end
  if #name < 1 or #name > tonumber(args[8]) then
    return { 2, 'name' }
  end
  if #value > tonumber(args[9]) then
    return { 2, 'value' }
  end
  local kept, count, bytes = call('HGETALL', key), 0, 0
  for at = 1, #kept, 2 do
    if kept[at] ~= name then
      count = count + 1
      bytes = bytes + #kept[at] + #kept[at + 1]
    end
  end
  if count >= tonumber(args[10]) then
    return { 2, 'many' }
  end
  if bytes + #name + #value > tonumber(args[11]) then
    return { 2, 'much' }
  end
  touch(p, account)
  local is_new = call('HSET', key, name, value)
  live_on(key, session[EXPIRES] - now)
  return { 1, 1 - is_new }
end)
