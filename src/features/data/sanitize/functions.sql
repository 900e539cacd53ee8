-- What replaces values. @schema@ is a schema that is dropped before the transaction ends; @inner@ and @outer@ are the
-- two keys of an HMAC, 64 bytes each. All of it depends on the value and the key alone, so that the same value becomes
-- the same in all columns.
CREATE SCHEMA @schema@;

-- HMAC-SHA256 of a value, another one for each purpose.
CREATE FUNCTION @schema@.keyed(purpose text, value text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT pg_catalog.sha256('\x@outer@'::bytea
        || pg_catalog.sha256('\x@inner@'::bytea || pg_catalog.convert_to(purpose || ':' || value, 'UTF8')))
$f$;

-- The number from 0 to 2^32-1 in four bytes.
CREATE FUNCTION @schema@.number(bytes bytea, place integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT ('x' || pg_catalog.encode(pg_catalog.substr(bytes, place, 4), 'hex'))::bit(32)::bigint
$f$;

CREATE FUNCTION @schema@.hash(value text, room integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT pg_catalog.left(pg_catalog.encode(@schema@.keyed('hash', value), 'hex'), least(room, 32))
$f$;

CREATE FUNCTION @schema@.hash_bytes(value bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT @schema@.keyed('hash', pg_catalog.encode(value, 'hex'))
$f$;

-- A domain that is kept for examples: no mail gets anywhere.
CREATE FUNCTION @schema@.email(value text, room integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT CASE value WHEN '' THEN '' ELSE
        pg_catalog.left('u' || pg_catalog.encode(@schema@.keyed('email', value), 'hex'), least(room - 12, 25))
            || '@example.com' END
$f$;

CREATE FUNCTION @schema@.uuid(value text) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT (pg_catalog.left(hex, 12) || '4' || pg_catalog.substr(hex, 14, 3)
        || pg_catalog.substr('89ab', 1 + pg_catalog.get_byte(bytes, 31) % 4, 1) || pg_catalog.substr(hex, 18, 15))::uuid
    FROM (SELECT bytes, pg_catalog.encode(bytes, 'hex') AS hex FROM (SELECT @schema@.keyed('uuid', value) AS bytes) AS a) AS b
$f$;

CREATE FUNCTION @schema@.syllables(bytes bytea, place integer, many integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT pg_catalog.initcap(pg_catalog.string_agg(
        pg_catalog.substr('bdfghklmnprstvwz', 1 + pg_catalog.get_byte(bytes, i) / 16, 1)
            || pg_catalog.substr('aeiou', 1 + pg_catalog.get_byte(bytes, i) % 5, 1), '' ORDER BY i))
    FROM pg_catalog.generate_series(place, place + many - 1) AS i
$f$;

CREATE FUNCTION @schema@.name(value text, room integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT CASE value WHEN '' THEN '' ELSE pg_catalog.left(
        (ARRAY['Ada', 'Alan', 'Ben', 'Cara', 'Dana', 'Emil', 'Fay', 'Gil', 'Hana', 'Igor', 'Jana', 'Karl', 'Lea', 'Max', 'Nora', 'Omar',
            'Pia', 'Quin', 'Rosa', 'Sam', 'Tara', 'Udo', 'Vera', 'Will', 'Xenia', 'Yan', 'Zoe', 'Abel', 'Bela', 'Cleo', 'Dirk', 'Edda'])
            [1 + pg_catalog.get_byte(bytes, 0) % 32]
            || ' ' || @schema@.syllables(bytes, 1, 4), room) END
    FROM (SELECT @schema@.keyed('name', value) AS bytes) AS a
$f$;

CREATE FUNCTION @schema@.address(value text, room integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT CASE value WHEN '' THEN '' ELSE pg_catalog.left(
        1 + @schema@.number(bytes, 1) % 199 || ' ' || @schema@.syllables(bytes, 4, 3) || ' Street, '
            || @schema@.syllables(bytes, 7, 3), room) END
    FROM (SELECT @schema@.keyed('address', value) AS bytes) AS a
$f$;

-- The country code 999 is nobody's.
CREATE FUNCTION @schema@.phone(value text, room integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT CASE value WHEN '' THEN '' ELSE pg_catalog.left('+999'
        || pg_catalog.lpad((@schema@.number(bytes, 1) % 1000000)::text, 6, '0')
        || pg_catalog.lpad((@schema@.number(bytes, 5) % 1000000)::text, 6, '0'), room) END
    FROM (SELECT @schema@.keyed('phone', value) AS bytes) AS a
$f$;

-- Each letter and digit becomes another, also those of other alphabets; the rest of ASCII stays.
CREATE FUNCTION @schema@.text(value text, room integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $f$
DECLARE
    sign text;
    code integer;
    byte integer;
    bytes bytea;
    place integer := 0;
    made text[] := '{}';
BEGIN
    FOREACH sign IN ARRAY pg_catalog.string_to_array(value, NULL) LOOP
        IF place % 32 = 0 THEN
            bytes := @schema@.keyed('text' || place, value);
        END IF;
        byte := pg_catalog.get_byte(bytes, place % 32);
        code := pg_catalog.ascii(sign);
        place := place + 1;
        made[place] := CASE
            WHEN code BETWEEN 48 AND 57 THEN pg_catalog.chr(48 + byte % 10)
            WHEN code BETWEEN 65 AND 90 THEN pg_catalog.chr(65 + byte % 26)
            WHEN code BETWEEN 97 AND 122 OR code > 127 THEN pg_catalog.chr(97 + byte % 26)
            ELSE sign END;
    END LOOP;
    RETURN pg_catalog.array_to_string(made, '');
END $f$;

-- The digits of a number as it is written, without those between them, become others by a Feistel cipher: of values of
-- one form no two become the same. What is no such number is hashed.
CREATE FUNCTION @schema@.digits(value text, room integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $f$
DECLARE
    form text := pg_catalog.regexp_replace(value, '[0-9]', '0', 'g');
    digits text := pg_catalog.regexp_replace(value, '[^0-9]', '', 'g');
    many integer := pg_catalog.length(digits);
    one text := pg_catalog.left(digits, many / 2);
    other text := pg_catalog.right(digits, many - many / 2);
    length integer;
    bytes bytea;
    sign text;
    next integer := 1;
    made text := '';
BEGIN
    IF value = '' THEN
        RETURN '';
    ELSIF many NOT BETWEEN 1 AND 60 OR value !~ '^[0-9 +./()#*,:-]*$' THEN
        RETURN @schema@.hash(value, room);
    ELSIF many = 1 THEN
        other := ((other::bigint + @schema@.number(@schema@.keyed('digits', form), 1)) % 10)::text;
    ELSE
        FOR round IN 0..7 LOOP
            length := pg_catalog.length(one);
            bytes := @schema@.keyed('digits' || round, form || ':' || other);
            one := pg_catalog.lpad(((one::numeric
                + @schema@.number(bytes, 1)::numeric * 79228162514264337593543950336
                + @schema@.number(bytes, 5)::numeric * 18446744073709551616
                + @schema@.number(bytes, 9)::numeric * 4294967296
                + @schema@.number(bytes, 13)::numeric) % (10::numeric ^ length))::numeric(60, 0)::text, length, '0');
            SELECT other, one INTO one, other;
        END LOOP;
    END IF;
    digits := CASE many WHEN 1 THEN other ELSE one || other END;
    FOREACH sign IN ARRAY pg_catalog.string_to_array(form, NULL) LOOP
        IF sign = '0' THEN
            made := made || pg_catalog.substr(digits, next, 1);
            next := next + 1;
        ELSE
            made := made || sign;
        END IF;
    END LOOP;
    RETURN made;
END $f$;

CREATE FUNCTION @schema@.mask(value text, first integer, last integer) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT CASE WHEN pg_catalog.length(value) <= first + last THEN pg_catalog.repeat('*', pg_catalog.length(value))
        ELSE pg_catalog.left(value, first) || pg_catalog.repeat('*', pg_catalog.length(value) - first - last)
            || pg_catalog.right(value, last) END
$f$;

-- Whether a row stays of which so many of ten thousand do.
CREATE FUNCTION @schema@.stays(value text, many integer) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $f$
    SELECT @schema@.number(@schema@.keyed('row', value), 1) % 10000 < many
$f$;
