-- Generations: how a backup takes the place of a store. It is built beside the one in force, as another
-- generation, and what a root holds says which one is served:
--
--   G        G is in force (no value: generation 0)
--   !N:G     N closed it, to take its place in all shards; everything is answered REPLACING
--   !M:!N:G  and so did M, later
--
-- `close` puts a name in front. Only the one in front may `replace`, which leaves its name and no other.
-- `give_up` takes a name out, wherever it stands: then the shard is as if that one had not come by, and
-- stays closed if another one closed it. Who dies leaves its name, for it may be in force in another
-- shard, and then nothing but a later `replace` opens this one.
--
-- `:beside` has each generation that is not in force, so that none is ever lost: until when, by this
-- server's clock, its restore will have said that it is still there; 0 if it is to be removed. From then
-- on it cannot be written to, nor close or replace anything: what arrives late does no harm.
--
-- Each of these may be asked for twice. They write, also where nothing changes: replicas are waited for
-- by what a connection wrote. And they run where memory is full: what is closed must not stay so.

-- What they answer. Those that say which generations are to be removed answer that when it is done.
local GIVEN_UP, DONE, NOT_EMPTY = 0, 1, 2

local function in_root(keys)
  return at_root(keys) or '0'
end

-- The generation in force, be it closed or not.
local function in_force(value)
  return value:match('[^:]*$')
end

-- The beginning of what holds a root that a generation closed.
local function closed_by(name)
  return CLOSED .. name .. ':'
end

local function is_built(keys, name)
  return tonumber(call('ZSCORE', keys[1] .. ':beside', name) or 0) > 0
end

-- Whether what is asked for is about a generation that was given up; what to answer then.
local function refusal(keys, args)
  if args[1] ~= '' and not is_built(keys, args[1]) then
    return redis.error_reply('GIVENUP this restore was not heard of for too long')
  end
end

-- Those that are to be removed.
local function left_over(keys)
  local beside = keys[1] .. ':beside'
  for _, name in ipairs(call('ZRANGEBYSCORE', beside, 1, server_time())) do
    call('ZADD', beside, 0, name)
  end
  return call('ZRANGEBYSCORE', beside, 0, 0)
end

local function heard_of(keys, args)
  local till = string.format('%.0f', server_time() + tonumber(args[2]))
  call('ZADD', keys[1] .. ':beside', till, args[1])
end

local function close(keys, args)
  local value, name = in_root(keys), args[1]
  local old = in_force(value)
  if old ~= name and not value:find(closed_by(name), 1, true) then
    if not is_built(keys, name) then
      return GIVEN_UP
    end
    if args[2] == '1' and call('EXISTS', keys[1] .. ':' .. old .. ':i') == 1 then
      return NOT_EMPTY
    end
    value = closed_by(name) .. value
  end
  call('SET', keys[1], value)
  return DONE
end

local function replace(keys, args)
  local beside, value, name = keys[1] .. ':beside', in_root(keys), args[1]
  local old = in_force(value)
  if old ~= name then
    if value:find(closed_by(name), 1, true) ~= 1 or not is_built(keys, name) then
      return GIVEN_UP
    end
    call('ZREM', beside, name)
    call('ZADD', beside, 0, old)
    for other in value:gmatch(CLOSED .. '([^:]*):') do
      call('ZADD', beside, 'XX', 0, other)
    end
    value = name
  end
  call('SET', keys[1], value)
  return left_over(keys)
end

-- Whether there is neither an account nor a session in the one in force.
register('is_empty', function(keys)
  return call('EXISTS', keys[1] .. ':' .. in_force(in_root(keys)) .. ':i') == 0 and 1 or 0
end, READS)

-- It is about to be built, and heard of again within so many milliseconds. Returns what is left over.
register('begin_generation', function(keys, args)
  heard_of(keys, args)
  return left_over(keys)
end, ENDS)

-- It is still being built.
register('hold_generation', function(keys, args)
  if not is_built(keys, args[1]) then
    return GIVEN_UP
  end
  heard_of(keys, args)
  return DONE
end, ENDS)

-- Closes the one in force for it, unless that has to be empty and is not.
register('close_generation', close, ENDS)

-- Whether it is the one that may replace.
register('is_closed_by', function(keys, args)
  return in_root(keys):find(closed_by(args[1]), 1, true) == 1 and DONE or GIVEN_UP
end, READS)

-- Puts it in the place of the one it closed. Returns what is left over.
register('replace', replace, ENDS)

-- Both at once, where there is one shard alone.
register('replace_at_once', function(keys, args)
  local closed = close(keys, args)
  return closed == DONE and replace(keys, args) or closed
end, ENDS)

-- Nobody wants it any more, unless it is in force, which is `DONE`.
register('give_up_generation', function(keys, args)
  local value, name = in_root(keys), args[1]
  if in_force(value) == name then
    return DONE
  end
  local others = value:gsub(closed_by(name), '')
  if others ~= value then
    call('SET', keys[1], others)
  end
  call('ZADD', keys[1] .. ':beside', 0, name)
  return GIVEN_UP
end, ENDS)

-- It was removed.
register('forget_generation', function(keys, args)
  call('ZREM', keys[1] .. ':beside', args[2])
  return DONE
end, ENDS)
