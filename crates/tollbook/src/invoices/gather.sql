-- The charges of drafts, added up where line, price and denominator are equal: such sums are exact. Names are looked up
-- once for each sum. What was on a void invoice stands on lines of its own.
select g.invoice_id as "invoice_id!", g.line_group as "line_group!", g.kind as "kind!", g.band as "band?", g.meter as "meter?", g.description as "description?",
    (select m.name from meters m where m.code = g.meter and (m.organization_id is null or m.organization_id = $1)
        order by m.organization_id nulls last limit 1) as "meter_name?",
    (select m.base_unit from meters m where m.code = g.meter and (m.organization_id is null or m.organization_id = $1)
        order by m.organization_id nulls last limit 1) as "unit?",
    (select p.name from plan_versions v join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
        where v.seller_id = g.seller_id and v.id = g.plan_version_id) as "plan_name?",
    g.unit_price, g.divisor, g.quantity as "quantity!", g.numerator as "numerator!", g.denominator as "denominator!", g.charges as "charges!",
    g.first_at as "first_at!", g.last_at as "last_at!", g.is_again as "is_again!", g.fee_start as "fee_start?", g.fee_end as "fee_end?"
from (
    select c.document_id as invoice_id, c.printed_group as line_group, min(c.kind) as kind, min(c.band) as band, min(c.meter) as meter, min(c.description) as description,
        min(c.seller_id::text)::uuid as seller_id, min(c.plan_version_id::text)::uuid as plan_version_id, c.unit_price, c.divisor,
        sum(c.quantity) as quantity, sum(c.amount_numerator) as numerator, c.amount_denominator as denominator, count(*) as charges,
        min(c.occurred_at) as first_at, max(c.occurred_at) as last_at, bool_or(c.invoice_id <> c.document_id) as is_again, min(p.starts_at) as fee_start, max(p.ends_at) as fee_end
    from (
        select o.invoice_id as document_id, o.line_group as printed_group, o.*
        from charges o where o.organization_id = $1 and o.invoice_id = any($2)
        union all
        select r.document_id, o.line_group || '@' || v.number, o.*
        from recharges r
        join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
        join charges o on o.organization_id = $1 and o.invoice_id = r.void_invoice_id
        where r.organization_id = $1 and r.document_id = any($2)
    ) c
    left join billing_periods p on p.organization_id = c.organization_id and p.id = c.period_id
    group by c.document_id, c.printed_group, c.unit_price, c.divisor, c.amount_denominator
) g
order by g.invoice_id, g.line_group, g.unit_price, g.divisor, g.denominator
