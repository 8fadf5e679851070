-- Database roles are product roles. Applied at every migration run; repeatable.
-- A session of the login starts as tollbook_none, which may do nothing: forgetting to say who acts fails closed,
-- behind a connection pooler too. Migrations and the `db` commands name the login's own role explicitly.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['tollbook_none', 'tollbook_platform', 'tollbook_admin', 'tollbook_member', 'tollbook_portal', 'tollbook_ingest'] loop
        begin
            execute format('create role %I nologin noinherit', role_name);
        exception when duplicate_object or unique_violation then
            null; -- made before, or by a concurrent run on the same server
        end;
        if not pg_has_role(session_user, role_name, 'member') then
            execute format('grant %I to %I', role_name, session_user);
        end if;
        execute format('grant usage on schema public to %I', role_name);
    end loop;
    execute format('alter role %I in database %I set role = tollbook_none', session_user, current_database());
    execute format('revoke all on schema public from public');
end
$$;
