-- Organizations with members, numbers and customers. As superuser; triggers and foreign keys are off, since every row is
-- made to fit. Variables: organizations, customers.

-- Identifiers that sort by time, as the application makes them: milliseconds, then a number that tells them apart.
-- `stable`, as what it calls is: said to be more, it would not be inlined, and cost five times as much.
create or replace function pg_temp.id_at(at timestamptz, kind integer, n bigint) returns uuid language sql stable as $$
    select (lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0') || to_hex(28672 + kind) || to_hex((8::bigint << 60) | n))::uuid
$$;

create unlogged table fill_organizations as
    select n, pg_temp.id_at('2024-01-01', 1, n) as id, pg_temp.id_at('2024-01-01', 2, n) as integration_id,
        pg_temp.id_at('2024-01-01', 3, n) as number_id, pg_temp.id_at('2024-01-01', 4, n) as mapping_id,
        '+1212' || lpad((5000000 + n)::text, 7, '0') as e164
    from generate_series(0, :organizations - 1) n;

insert into organizations (id, name, external_key, zone) select id, 'Organization ' || n, 'fill-' || n, 'America/New_York' from fill_organizations;
insert into sellers (id, organization_id, invoice_prefix) select id, id, 'F' || n from fill_organizations;
insert into integrations (id, organization_id, provider, name, active) select integration_id, id, 'openphone', 'Main', false from fill_organizations;
insert into phone_numbers (id, e164, provider, provider_number_sid, integration_id, organization_id)
    select number_id, e164, 'openphone', 'PNfill' || n, integration_id, id from fill_organizations;
insert into number_mappings (id, phone_number_id, organization_id, starts_at) select mapping_id, number_id, id, '2024-01-01' from fill_organizations;

-- Ten members each, the last an admin; all may use the number.
insert into users (id, email, name, organization_ids)
    select pg_temp.id_at('2024-01-01', 5, o.n * 10 + m), 'member' || m || '@fill' || o.n || '.example', 'Member ' || m, array[o.id]
    from fill_organizations o, generate_series(0, 9) m;
insert into memberships (organization_id, user_id, role)
    select o.id, pg_temp.id_at('2024-01-01', 5, o.n * 10 + m), case m when 9 then 'org_admin' else 'org_member' end
    from fill_organizations o, generate_series(0, 9) m;

insert into assignments (organization_id, id, phone_number_id, user_id, starts_at)
    select o.id, pg_temp.id_at('2024-01-01', 9, o.n * 10 + m), o.number_id, pg_temp.id_at('2024-01-01', 5, o.n * 10 + m), '2024-01-01'
    from fill_organizations o, generate_series(0, 9) m;
update phone_numbers p set viewer_ids = (select array_agg(a.user_id) from assignments a where a.phone_number_id = p.id)
    where exists (select from fill_organizations o where o.number_id = p.id);

create unlogged table fill_customers as
    select c.n, o.id as organization_id, pg_temp.id_at('2024-02-01', 6, c.n) as id, pg_temp.id_at('2024-02-01', 7, c.n) as account_id,
        '+1646' || lpad(c.n::text, 7, '0') as e164,
        (array['Amara','Bruno','Chloe','Dana','Elif','Femi','Greta','Hugo','Ines','Jonas','Kaya','Liam','Mateo','Nora','Omar','Priya'])[1 + c.n % 16]
            || ' ' || (array['Alvarez','Brandt','Chen','Dubois','Eriksen','Fischer','Garcia','Haddad','Ivanova','Jensen','Keller'])[1 + (c.n / 16) % 11]
            || ' ' || c.n as name
    from generate_series(0, :customers - 1) c (n)
    join fill_organizations o on o.n = c.n % :organizations;
insert into accounts (organization_id, id, payer) select organization_id, account_id, 'customer' from fill_customers;
insert into customers (organization_id, id, account_id, name) select organization_id, id, account_id, name from fill_customers;
insert into customer_numbers (organization_id, id, customer_id, e164) select organization_id, pg_temp.id_at('2024-02-01', 8, n), id, e164 from fill_customers;
insert into search_terms (organization_id, term, kind, id)
    select c.organization_id, t.term, 'customer', c.id
    from fill_customers c cross join lateral unnest(array[substr(c.e164, 2), substr(c.e164, 3), right(c.e164, 4)] || string_to_array(lower(c.name), ' ')) t (term)
    on conflict do nothing;
create unique index on fill_customers (n);
analyze fill_organizations, fill_customers;

-- What is indexed while loading is indexed row by row; sorted afterwards it takes a third of the time. Only keys that
-- others refer to stay.
create unlogged table fill_indexes as
    select x.indrelid::regclass::text as table_name, c.relname as name, k.oid is not null as is_constraint,
        case when k.oid is null then pg_get_indexdef(x.indexrelid)
            else format('alter table %s add constraint %I %s', x.indrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) end as definition
    from pg_index x
    join pg_class c on c.oid = x.indexrelid
    left join pg_constraint k on k.conindid = x.indexrelid and k.contype in ('p', 'u')
    where x.indrelid in ('public.calls'::regclass, 'public.call_viewers'::regclass, 'public.usage_events'::regclass)
        and not exists (select from pg_constraint f where f.conindid = x.indexrelid and f.contype = 'f');
do $$
declare
    i record;
begin
    for i in select * from fill_indexes loop
        if i.is_constraint then
            execute format('alter table %s drop constraint %I', i.table_name, i.name);
        else
            execute format('drop index public.%I', i.name);
        end if;
    end loop;
end
$$;
