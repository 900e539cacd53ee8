SELECT json_build_object(
    'version', current_setting('server_version_num')::integer,
    'isSuperuser', current_setting('is_superuser') = 'on',
    'others', (SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datname <> current_database() AND datname <> 'postgres'),
    'hasLargeObjects', EXISTS (SELECT FROM pg_largeobject_metadata),
    'tables', (SELECT coalesce(json_agg(json_build_object(
            'id', c.oid::bigint,
            'schema', n.nspname,
            'name', c.relname,
            'isUsual', pg_table_is_visible(c.oid),
            'isPartitioned', c.relkind = 'p',
            'key', (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
                FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = c.oid AND i.indisprimary),
            'columns', (SELECT coalesce(json_agg(json_build_object(
                    'name', a.attname,
                    'shownType', format_type(a.atttypid, a.atttypmod),
                    'type', (SELECT format('%I.%I', s.nspname, t.typname) FROM pg_namespace s WHERE s.oid = t.typnamespace),
                    'kind', CASE
                        WHEN base.oid = 'uuid'::regtype THEN 'uuid'
                        WHEN base.oid = 'bytea'::regtype THEN 'bytes'
                        WHEN base.typcategory = 'S' AND base.typtype = 'b' AND base.oid <> '"char"'::regtype THEN 'text'
                        ELSE 'other' END,
                    'room', CASE
                        WHEN base.oid IN ('varchar'::regtype, 'bpchar'::regtype) AND typmod > 4 THEN typmod - 4
                        WHEN base.oid = 'name'::regtype THEN 63 END,
                    'isNullable', NOT a.attnotnull AND NOT (t.typtype = 'd' AND t.typnotnull),
                    'isGenerated', a.attgenerated <> '',
                    'isUnique', EXISTS (SELECT FROM pg_index i
                        WHERE i.indrelid = c.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
                ) ORDER BY a.attnum), '[]')
                FROM pg_attribute a
                JOIN pg_type t ON t.oid = a.atttypid
                JOIN pg_type base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
                CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod) AS m
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
        ) ORDER BY n.nspname, c.relname), '[]')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            -- What an extension makes anew is not written.
            AND (NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
                OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))),
    'references', (SELECT coalesce(json_agg(json_build_object(
            'name', r.conname,
            'from', r.conrelid::bigint,
            'to', r.confrelid::bigint,
            'columns', (SELECT json_agg(json_build_object(
                    'from', child.attname, 'to', parent.attname, 'operatorSchema', o.nspname, 'operator', o.oprname
                ) ORDER BY pair.place)
                FROM unnest(r.conkey, r.confkey, r.conpfeqop) WITH ORDINALITY AS pair(child, parent, operator, place)
                JOIN pg_attribute child ON child.attrelid = r.conrelid AND child.attnum = pair.child
                JOIN pg_attribute parent ON parent.attrelid = r.confrelid AND parent.attnum = pair.parent
                JOIN (SELECT p.oid, p.oprname, s.nspname FROM pg_operator p JOIN pg_namespace s ON s.oid = p.oprnamespace) AS o
                    ON o.oid = pair.operator)
        ) ORDER BY r.conname), '[]')
        FROM pg_constraint r WHERE r.contype = 'f' AND r.conparentid = 0)
)
