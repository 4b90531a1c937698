-- Claims to e-mails, where accounts lie in several slots: who has one or is about to have it is written
-- in the slot of the e-mail. cluster/claims.rs says how they are used, and why that is enough.
--
-- They are one hash `c`, by their e-mails. A claim is the id of the account, 16 bytes that no other
-- claim has, and until when somebody is at it, in milliseconds of this server's clock: 0 when nobody is.
-- `z` has the exports that nobody may claim beside, and until when.

local function is_claim_over(claim)
  local till = tonumber(claim:sub(33))
  return till == 0 or server_time() > till
end

-- What the claim to an e-mail says: its account, whether nobody is at it any more, and itself.
local function said(claim)
  return { claim:sub(1, 16), is_claim_over(claim) and 1 or 0, claim }
end

register('claim_of', function(keys, args)
  local claim = call('HGET', prefix(keys, args) .. 'c', args[2])
  return claim and said(claim) or false
end, READS)

-- Claims an e-mail for an account, for so long, in the place of exactly the claim that was there, or
-- of none. Returns 1, the claim, until when, and in which generation; or 0 and what there is instead; or 2 while it may not
-- be done.
register('claim', function(keys, args)
  local p, email, expected = prefix(keys, args), args[2], args[6]
  local claim, now = call('HGET', p .. 'c', email), server_time()
  if (claim or '') ~= expected then
    return { 0, claim and said(claim) or false }
  end
  if call('ZCOUNT', p .. 'z', now, '+inf') > 0 then
    return { 2 }
  end
  local till = now + tonumber(args[5])
  claim = args[3] .. args[4] .. string.format('%.0f', till)
  call('HSET', p .. 'c', email, claim)
  return { 1, claim, till, p:match(':([^:]*):$') }
end)

-- Nobody is at exactly this claim any more: it stays if the account has the e-mail, and goes
-- otherwise. Returns whether it was that claim.
register('settle_claim', function(keys, args)
  local p, email, claim, is_held = prefix(keys, args), args[2], args[3], args[4] == '1'
  if call('HGET', p .. 'c', email) ~= claim then
    return 0
  end
  if is_held then
    call('HSET', p .. 'c', email, claim:sub(1, 32) .. '0')
  else
    call('HDEL', p .. 'c', email)
  end
  return 1
end, ENDS)

-- Claims of accounts that are imported, as triples of e-mail, account and 16 bytes; all of them or
-- none. They are only looked at if that is all that is asked for.
register('import_claims', function(keys, args)
  local p, taken, refused = prefix(keys, args), {}, refusal(keys, args)
  if refused then
    return refused
  end
  for at = 3, #args, 3 do
    if taken[args[at]] or call('HEXISTS', p .. 'c', args[at]) == 1 then
      return damaged('account', 'it is there already')
    end
    taken[args[at]] = true
  end
  for at = 3, args[2] == '1' and 0 or #args, 3 do
    call('HSET', p .. 'c', args[at], args[at + 1] .. args[at + 2] .. '0')
  end
  return 1
end)

-- Some claims, from a place on: where to go on, `0` at the end, and e-mails with what they say.
register('claims', function(keys, args)
  local page, found = call('HSCAN', prefix(keys, args) .. 'c', args[2], 'COUNT', args[3]), {}
  for at = 1, #page[2], 2 do
    found[#found + 1] = { page[2][at], said(page[2][at + 1]) }
  end
  return { page[1], found }
end, READS)

-- The accounts that the claims to these e-mails name; nothing where there is no claim.
register('claimants', function(keys, args)
  local claims, found = prefix(keys, args) .. 'c', {}
  for at = 2, #args do
    local claim = call('HGET', claims, args[at])
    found[at - 1] = claim and claim:sub(1, 16) or false
  end
  return found
end, READS)

-- Some members of the index of e-mails, from the one after a member on.
register('emails', function(keys, args)
  local first = args[2] == '' and '-' or '(' .. args[2]
  return call('ZRANGEBYLEX', prefix(keys, args) .. 'e', first, '+', 'LIMIT', 0, args[3])
end, READS)

-- Whether an account has an e-mail.
local function has_email(p, args)
  return call('HGET', p .. 'a' .. args[2], 'e') == args[3] and 1 or 0
end

register('has_email', function(keys, args)
  return has_email(prefix(keys, args), args)
end, READS)

-- The same, with a write beside it: a replica that has that has all that was written before, and so
-- does not give an e-mail back to an account that is seen without it here.
register('has_email_for_good', function(keys, args)
  local p = prefix(keys, args)
  call('SET', p .. 'ping', 1)
  return has_email(p, args)
end, ENDS)

-- Nobody claims an e-mail from now on, for so long or until `thaw`.
register('freeze', function(keys, args)
  local z, now, life = prefix(keys, args) .. 'z', server_time(), tonumber(args[3])
  call('ZREMRANGEBYSCORE', z, '-inf', '(' .. string.format('%.0f', now))
  call('ZADD', z, string.format('%.0f', now + life), args[2])
  call('PEXPIRE', z, life * 2)
  return 1
end)

-- Returns whether nobody claimed an e-mail since `freeze`. Also where memory is full: it makes room.
register('thaw', function(keys, args)
  local z = prefix(keys, args) .. 'z'
  local till = call('ZSCORE', z, args[2])
  call('ZREM', z, args[2])
  return till and server_time() <= tonumber(till) and 1 or 0
end, ENDS)
