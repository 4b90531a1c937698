-- Everything at once: steps/upkeep.rs, steps/import.rs, and the export.

-- How many accounts one call looks at, whether they have sessions or not.
local MOST_ACCOUNTS = 500

-- upkeep::find_dead and remove_dead, of sessions: from an account and a session on, with so many
-- sessions to look at. Returns how many were removed, how many looked at, and where to go on: an
-- account and a session, or an account alone if only the accounts were too many.
register('sweep_sessions', function(keys, args)
  local p, now = prefix(keys, args), tonumber(args[2])
  local from, first, budget = args[3], args[4], tonumber(args[5])
  local in_force, removed, looked_at = epoch(p), 0, 0
  local start = from == '' and '-' or '[' .. from
  local accounts = call('ZRANGEBYLEX', p .. 'i', start, '+', 'LIMIT', 0, MOST_ACCOUNTS + 1)
  for at, account in ipairs(accounts) do
    if at > MOST_ACCOUNTS then
      return { removed, looked_at, account, '' }
    end
    local sessions = all_sessions(p, account)
    table.sort(sessions, function(one, other) return before(one[1], other[1]) end)
    local dead = {}
    local function remove()
      if #dead > 0 then
        touch(p, account)
        remove_sessions(p, account, dead)
      end
      removed = removed + #dead
    end
    for _, one in ipairs(sessions) do
      if account ~= from or not before(one[1], first) then
        if looked_at == budget then
          remove()
          return { removed, looked_at, account, one[1] }
        end
        looked_at = looked_at + 1
        if not is_alive(one[2], in_force, now) then
          dead[#dead + 1] = one[1]
        end
      end
    end
    remove()
  end
  return { removed, looked_at, false, false }
end)

-- upkeep::find_over: attempts. Returns how many places were looked at, and where to go on, if it is
-- not the end.
register('sweep_attempts', function(keys, args)
  local p, now, budget = prefix(keys, args), tonumber(args[2]), tonumber(args[4])
  local start, looked_at = args[3] == '' and '-' or '[' .. args[3], 0
  for _, name in ipairs(call('ZRANGEBYLEX', p .. 'u', start, '+')) do
    local place = p .. 't' .. name
    if call('EXISTS', place) == 1 then
      if looked_at == budget then
        return { looked_at, name }
      end
      looked_at = looked_at + 1
      forget_over(place, now)
    end
    if call('EXISTS', place) == 0 then
      call('ZREM', p .. 'u', name)
    end
  end
  return { looked_at, false }
end)

-- Begins an export: from now on what changes is kept for it, as it is at this moment. Returns the
-- epoch, if there is one, where each trail ends, and its oldest page.
register('begin_export', function(keys, args)
  local p = prefix(keys, args)
  local export = p .. 'x' .. args[2]
  -- The list lives as long as the one of them that is read last.
  call('SET', p .. 'x', (call('GET', p .. 'x') or '') .. args[2], 'PX', args[3])
  call('HSET', export, 'at', '')
  call('PEXPIRE', export, args[3])
  local function oldest(trail)
    return tonumber(call('ZRANGE', p .. 'l' .. trail, 0, 0)[1] or 0)
  end
  return { call('GET', p .. 'epoch'), ends_of_trails(p), oldest('c'), oldest('o') }
end)

-- The next accounts of an export with what they have: first those that are as they were, then those
-- that changed meanwhile. Nothing at the end.
register('export_page', function(keys, args)
  local p, export = prefix(keys, args), prefix(keys, args) .. 'x' .. args[2]
  local at = call('HGET', export, 'at')
  if not at then
    return redis.error_reply('GIVENUP nobody read the backup on for too long')
  end
  call('PEXPIRE', export, args[3])
  call('PEXPIRE', p .. 'x', args[3])
  local page, most, sessions = {}, tonumber(args[4]), 0
  local start = at == '' and '-' or '(' .. at
  for _, account in ipairs(call('ZRANGEBYLEX', p .. 'i', start, '+', 'LIMIT', 0, most)) do
    if sessions >= most then
      break
    end
    if call('HEXISTS', export, '.' .. account) == 0 then
      local one = bundle(p, account)
      sessions = sessions + #one[3]
      page[#page + 1] = one
    end
    at = account
  end
  call('HSET', export, 'at', at)
  if #page > 0 then
    return page
  end
  start = at == '' and '-' or '(' .. at
  if #call('ZRANGEBYLEX', p .. 'i', start, '+', 'LIMIT', 0, 1) > 0 then
    -- All of these had changed.
    return { false }
  end
  -- No id is behind this one: nothing needs to be kept any more.
  call('HSET', export, 'at', string.rep('\255', 17))
  local kept = call('HRANDFIELD', export, most + 1, 'WITHVALUES')
  for n = 1, #kept, 2 do
    if kept[n]:sub(1, 1) == '.' then
      page[#page + 1] = unpacked(kept[n + 1])
      call('HDEL', export, kept[n])
    end
  end
  if #page > 0 then
    return page
  end
  call('UNLINK', export)
  local others = (call('GET', p .. 'x') or ''):gsub(args[2], '')
  call('SET', p .. 'x', others, 'PX', args[3])
  return {}
end)

-- Days as an argument: numbers with spaces between them.
local function days_in(text)
  local days = {}
  for number in text:gmatch('%S+') do
    days[#days + 1] = tonumber(number)
  end
  return days
end

-- Adds visits to those of an account.
local function add_visits(p, account, count, days)
  local visits = visits_of(p, account)
  visits[1] = visits[1] + count
  add_days(visits[2], days)
  save_visits(p, account, visits)
end

-- import::import. Everything is looked at before anything is written, and nothing is if that is all
-- that is asked for.
register('import', function(keys, args)
  local p, records, taken = prefix(keys, args), {}, {}
  local now, only_look, refused = server_time(), args[2] == '1', refusal(keys, args)
  if refused then
    return refused
  end
  local function is_taken(name)
    local was = taken[name]
    taken[name] = true
    return was
  end
  local at = 3
  local function take(count)
    local fields = {}
    for n = 1, count do
      fields[n] = args[at]
      at = at + 1
    end
    return fields
  end
  while at <= #args do
    local kind = take(1)[1]
    local one = { kind }
    if kind == 'a' then
      -- id, e-mail, password, state, role, made, copied, visits of ended sessions, and by the day
      one.fields = take(9)
      local id, email = one.fields[1], one.fields[2]
      if is_taken('a' .. id) or is_taken('e' .. email) or owner_of(p, email) or account_exists(p, id) then
        return damaged('account', 'it is there already')
      end
    elseif kind == 's' then
      one.ids, one.fields = take(2), take(SESSION_FIELDS + 1)
      local account, id = one.ids[1], one.ids[2]
      if is_taken('s' .. account .. id) or call('HEXISTS', p .. 's' .. account, id) == 1 then
        return damaged('session', 'it is there already')
      end
    elseif kind == 'v' then
      one.ids = take(2)
      one.fields = take(2 * tonumber(take(1)[1]))
      local name = 'v' .. one.ids[1] .. one.ids[2]
      if is_taken(name) or call('EXISTS', p .. name) == 1 then
        return damaged('variables', 'they are there already')
      end
    elseif kind == 'e' then
      one.fields = take(1)
      if is_taken('epoch') or call('EXISTS', p .. 'epoch') == 1 then
        return damaged('epoch', 'it is there already')
      end
    else
      -- trail, number of the page, how long it lives, its events
      one.ids = take(3)
      one.fields = take(tonumber(take(1)[1]))
      local trail, number = one.ids[1], one.ids[2]
      local open = call('GET', p .. 'o' .. trail)
      if is_taken('u' .. trail .. number) or open == number or call('ZSCORE', p .. 'l' .. trail, number) then
        return damaged('audit', 'it is there already')
      end
    end
    records[#records + 1] = one
  end
  if only_look then
    return 0
  end
  for _, one in ipairs(records) do
    local kind, fields = one[1], one.fields
    if kind == 'a' then
      local id = table.remove(fields, 1)
      touch(p, id)
      put_account(p, id, fields)
      add_visits(p, id, tonumber(fields[7]), days_in(fields[8]))
    elseif kind == 's' then
      local account, id, session = one.ids[1], one.ids[2], {}
      for field = 1, SESSION_FIELDS do
        session[field] = tonumber(fields[field])
      end
      session[AGENT] = fields[AGENT]
      session[COPIED] = session[COPIED] or false
      session[DAY], session[TODAY], session[EARLIER] = parts_of(days_in(fields[SESSION_FIELDS + 1]))
      touch(p, account)
      save_session(p, account, id, session, now)
      call('ZADD', p .. 'i', 0, account)
      add_visits(p, account, session[VISITS], session_days(session))
      if call('EXISTS', p .. 'v' .. account .. id) == 1 then
        live_on(p .. 'v' .. account .. id, session[EXPIRES] - now)
      end
    elseif kind == 'v' then
      local key = p .. 'v' .. one.ids[1] .. one.ids[2]
      touch(p, one.ids[1])
      for n = 1, #fields, 2 do
        call('HSET', key, fields[n], fields[n + 1])
      end
      local session = call('HGET', p .. 's' .. one.ids[1], one.ids[2])
      if session then
        live_on(key, opened(session)[EXPIRES] - now)
      end
    elseif kind == 'e' then
      -- Sessions of an earlier one are dead.
      tell_end(p, '')
      call('SET', p .. 'epoch', fields[1])
    else
      local trail, number, keep = one.ids[1], one.ids[2], one.ids[3]
      local page = event_page(p, trail, number)
      for _, event in ipairs(fields) do
        call('RPUSH', page, event)
      end
      call('ZADD', p .. 'l' .. trail, number, number)
      call('PEXPIRE', page, keep)
      if tonumber(number) > tonumber(call('GET', p .. 'o' .. trail) or -1) then
        call('SET', p .. 'o' .. trail, number)
      end
    end
  end
  return #records
end)

-- upkeep::touch
register('ping', function(keys, args)
  call('SET', prefix(keys, args) .. 'ping', 1)
  return 1
end)
