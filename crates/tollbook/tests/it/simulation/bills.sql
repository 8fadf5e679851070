-- Every document with its lines, without what differs between two databases: firm, name, and the rest as it is compared.
select o.name, case i.payer when 'customer' then c.name else 'itself' end, format('%s %s %s%s, %s, %s + %s = %s%s', i.kind, to_char(i.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    to_char(i.period_end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), case i.state when 'void' then ' void' else '' end,
    to_char(i.finalized_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), i.subtotal_minor, i.tax_minor, i.total_minor,
    (select string_agg('; ' || l.line, '' order by l.line collate "C") from (
        select format('%s%s %s %s',
            case split_part(l.line_group, '/', 1) when 'fee' then 'fee ' || l.description when 'commitment' then 'commitment'
                else regexp_replace(l.line_group, '@[A-Z].*', '') end,
            case when l.line_group ~ '@[A-Z]' then '@void' else '' end, trim_scale(l.quantity), l.amount_minor) as line
        from invoice_lines l where l.organization_id = i.organization_id and l.invoice_id = i.id
    ) l))
from invoices i
join organizations o on o.id = i.organization_id
left join customers c on c.organization_id = i.organization_id and c.id = i.customer_id
where i.state <> 'draft'
