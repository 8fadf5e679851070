-- Organizations with members, numbers and customers. As superuser; triggers and foreign keys are off, since every row is
-- made to fit. Variables: organizations, customers.
set session_replication_role = replica;
set synchronous_commit = off;

-- Identifiers that sort by time, as the application makes them: milliseconds, then a number that tells them apart.
create or replace function pg_temp.id_at(at timestamptz, kind integer, n bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
        || '8' || lpad(to_hex(n), 15, '0'))::uuid
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

-- Indexes that no constraint needs are dropped while loading and made again afterwards.
create unlogged table fill_indexes as
    select i.indexname, i.indexdef from pg_indexes i
    where i.schemaname = 'public' and i.tablename in ('calls', 'call_legs', 'usage_events')
        and not exists (select from pg_constraint k where k.conname = i.indexname)
        and i.indexdef not like 'CREATE UNIQUE%';
do $$
declare
    i record;
begin
    for i in select indexname from fill_indexes loop
        execute format('drop index public.%I', i.indexname);
    end loop;
end
$$;
