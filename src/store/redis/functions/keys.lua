-- Signing keys, sealed by whoever brings them: one hash beside all generations, for a backup that is
-- restored changes what is in the store and not who may sign. A key's id leads to what it is sealed
-- in, and `revision` counts the changes; no id is that short.

-- All of them.
register('keys', function(keys)
  return call('HGETALL', keys[1] .. ':keys')
end, READS)

-- Puts these in the place of all, if nothing changed since the revision that is named. Returns
-- whether it did.
register('put_keys', function(keys, args)
  local kept = keys[1] .. ':keys'
  -- Nothing may stop it between the two writes: then there would be no keys.
  at_root(keys)
  local revision = tonumber(call('HGET', kept, 'revision') or 0)
  if revision ~= tonumber(args[2]) then
    return 0
  end
  call('UNLINK', kept)
  call('HSET', kept, 'revision', revision + 1)
  for at = 3, #args, 2 do
    call('HSET', kept, args[at], args[at + 1])
  end
  return 1
end)
