-- Accounts: steps/accounts.rs. One is a hash of its e-mail `e`, password hash `p`, state `s`, role
-- `r`, when it was made `c`, when a copy was found `x`, and the visits over all its sessions and by the
-- day `n`.

local function account_of(p, account)
  local record = call('HMGET', p .. 'a' .. account, 'e', 'p', 's', 'r', 'c', 'x')
  if not record[1] then
    return false
  end
  table.insert(record, 1, account)
  return record
end

local function put_account(p, account, record)
  call('ZADD', p .. 'e', 0, record[1] .. '\0' .. account)
  call('ZADD', p .. 'i', 0, account)
  local key = p .. 'a' .. account
  call('HSET', key, 'e', record[1], 'p', record[2], 's', record[3], 'r', record[4], 'c', record[5])
  if record[6] ~= '' then
    call('HSET', key, 'x', record[6])
  end
end

-- Whether a change of an e-mail is not the caller's to make any more. He has a claim to it (claims.lua)
-- until a moment of the server's clock and in a generation. Where all lie in one slot, none is needed.
local function is_too_late(p, deadline)
  if deadline == '' then
    return false
  end
  local till, generation = deadline:match('^(%d+) (.*)$')
  return server_time() > tonumber(till) or p:match(':([^:]*):$') ~= generation
end

-- accounts::create
register('create_account', function(keys, args)
  local p, account = prefix(keys, args), args[2]
  -- An id is taken only if the caller reuses one; then, too, nobody else's account is replaced.
  if owner_of(p, args[3]) or account_exists(p, account) then
    return 0
  end
  if is_too_late(p, args[14]) then
    return 2
  end
  touch(p, account)
  put_account(p, account, { args[3], args[4], args[5], args[6], args[7], args[8] })
  write_event(p, args, 9, 0)
  return 1
end)

-- accounts::find
register('account', function(keys, args)
  return account_of(prefix(keys, args), args[2])
end, READS)

-- accounts::find_by_email
register('account_by_email', function(keys, args)
  local p = prefix(keys, args)
  local account = owner_of(p, args[2])
  if not account then
    return false
  end
  return account_of(p, account) or damaged('e-mail', 'the account it names is not there')
end, READS)

-- The members of the index of e-mails from the first after `email` on, be that somebody's or not.
local function emails_after(p, email, limit)
  local first = email == '' and '-' or '[' .. email .. '\1'
  return call('ZRANGEBYLEX', p .. 'e', first, '+', 'LIMIT', 0, limit)
end

-- accounts::search. Returns those that were found, after which e-mail to go on, if there are more, and
-- the last that was looked at.
register('find_accounts', function(keys, args)
  local p, part, limit, most = prefix(keys, args), args[3], tonumber(args[4]), tonumber(args[5])
  local found, last = {}, false
  for at, member in ipairs(emails_after(p, args[2], most + 1)) do
    if at > most or #found == limit then
      return { found, last, last }
    end
    local email = member:sub(1, -18)
    if email:find(part, 1, true) then
      found[#found + 1] = account_of(p, member:sub(-16))
    end
    last = email
  end
  return { found, false, last }
end, READS)

-- accounts::set_state
register('set_state', function(keys, args)
  local p, account, state = prefix(keys, args), args[2], args[3]
  local was = call('HGET', p .. 'a' .. account, 's')
  if not was then
    return false
  end
  touch(p, account)
  local ended = state == 'd' and end_all(p, account) or 0
  if was ~= state or ended > 0 then
    write_event(p, args, 4, ended)
  end
  call('HSET', p .. 'a' .. account, 's', state)
  return ended
end, ENDS)

-- accounts::set_role
register('set_role', function(keys, args)
  local p, account, role = prefix(keys, args), args[2], args[3]
  local was = call('HGET', p .. 'a' .. account, 'r')
  if not was then
    return false
  end
  if was == role then
    return 0
  end
  touch(p, account)
  local ended = role == 'm' and 0 or end_all(p, account)
  call('HSET', p .. 'a' .. account, 'r', role)
  write_event(p, args, 4, ended)
  return ended
end)

-- accounts::remove, and close where a session is named that has to be alive. Returns the e-mail, too.
register('remove_account', function(keys, args)
  local p, account = prefix(keys, args), args[2]
  if args[3] ~= '' and not living_session(p, account, args[3], tonumber(args[4])) then
    return false
  end
  local email = call('HGET', p .. 'a' .. account, 'e')
  if not email then
    return false
  end
  touch(p, account)
  local ended = end_all(p, account)
  call('ZREM', p .. 'e', email .. '\0' .. account)
  call('ZREM', p .. 'i', account)
  call('UNLINK', p .. 'a' .. account)
  write_event(p, args, 5, ended)
  return { ended, email }
end, ENDS)

-- AccountRecord::admits
local function admits(record, checked)
  return record[1] == 'a' and record[2] == checked
end

-- accounts::change_password
register('change_password', function(keys, args)
  local p, account = prefix(keys, args), args[2]
  local is_checked, checked, new, goes_on = args[3] == '1', args[4], args[5], args[6] == '1'
  local record = call('HMGET', p .. 'a' .. account, 's', 'p')
  if not record[1] or is_checked and not admits(record, checked) then
    return { 0 }
  end
  local session, keep = false, nil
  if goes_on then
    local wrong
    session, wrong = may_succeed(p, account, args, 7)
    if wrong then
      return wrong
    elseif not session then
      return { 0 }
    end
    keep = args[8]
  end
  touch(p, account)
  if session then
    session = succeed(p, account, session, args, 7)
  end
  call('HSET', p .. 'a' .. account, 'p', new)
  local ended = end_all(p, account, keep)
  write_event(p, args, 7 + SUCCESSION, ended)
  return { 1, ended, session }
end)

-- accounts::rehash
register('rehash', function(keys, args)
  local p, account = prefix(keys, args), args[2]
  if call('HGET', p .. 'a' .. account, 'p') ~= args[3] then
    return 0
  end
  touch(p, account)
  call('HSET', p .. 'a' .. account, 'p', args[4])
  return 1
end)

-- Whether the session that wants another e-mail is alive and its account active.
local function may_change_email(p, account, session, now)
  return call('HGET', p .. 'a' .. account, 's') == 'a' and living_session(p, account, session, now)
end

register('may_change_email', function(keys, args)
  return may_change_email(prefix(keys, args), args[2], args[3], tonumber(args[4])) and 1 or 0
end, READS)

-- accounts::change_email. Returns the e-mail of before, too.
register('change_email', function(keys, args)
  local p, account, new = prefix(keys, args), args[2], args[3]
  -- Whoever is no longer signed in is not told whose the address is.
  if not may_change_email(p, account, args[4], tonumber(args[6])) then
    return { 0 }
  end
  local owner = owner_of(p, new)
  if owner and owner ~= account then
    return { 2 }
  end
  local session, wrong = may_succeed(p, account, args, 4)
  if wrong then
    return wrong
  end
  if is_too_late(p, args[17]) then
    return { 3 }
  end
  touch(p, account)
  local value = succeed(p, account, session, args, 4)
  local old = call('HGET', p .. 'a' .. account, 'e')
  call('ZREM', p .. 'e', old .. '\0' .. account)
  call('ZADD', p .. 'e', 0, new .. '\0' .. account)
  call('HSET', p .. 'a' .. account, 'e', new)
  local ended = end_all(p, account, args[5])
  write_event(p, args, 4 + SUCCESSION, ended)
  return { 1, ended, value, old }
end)

-- accounts::reauthenticate
register('reauthenticate', function(keys, args)
  local p, account = prefix(keys, args), args[2]
  if not admits(call('HMGET', p .. 'a' .. account, 's', 'p'), args[3]) then
    return false
  end
  local session, wrong = may_succeed(p, account, args, 4)
  if wrong then
    return wrong
  elseif not session then
    return false
  end
  touch(p, account)
  local value = succeed(p, account, session, args, 4)
  write_event(p, args, 4 + SUCCESSION, 0)
  return value
end)

-- accounts::total_visits and visit_days
register('visits', function(keys, args)
  local p = prefix(keys, args)
  return account_exists(p, args[2]) and visits_of(p, args[2]) or { 0, { 0 } }
end, READS)
