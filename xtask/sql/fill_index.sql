-- The indexes of some tables, and what the planner and index-only scans need to know of them. Variable: tables, an array.
set maintenance_work_mem = '2GB';

select definition from fill_indexes where table_name = any (:'tables'::text[])
order by table_name, is_constraint desc, name \gexec
select format('vacuum (analyze) %s', t.table_name) from unnest(:'tables'::text[]) as t (table_name) \gexec
