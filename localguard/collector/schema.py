"""The store's tables in PostgreSQL 15 or newer, step by step, and who may do what there.

    records     evidence: every record as it came, range-partitioned by day, keyed by (device, epoch, seq)
    exchanges   one row an exchange that ended: what questions are asked of, partitioned alike
    cursors     the end of each device's history as it was cosigned; what the next batch has to go on from
    devices, tokens, checkpoints, alarms, session_results, policies, readers

An epoch counts the enrolments of a device: with each its history begins anew. Three roles that cannot log in are granted to those
that can: `localguard_ingest` adds records and cannot read one, `localguard_read` reads what its teams may and writes nothing,
`localguard_admin` enrols and revokes. Readers are bound by row-level security; `readers` says which teams a role sees. COPY does
not work under row-level security, so records are copied into the day's partition itself, which only the ingest role may name.
"""

from typing import Final

EXPECTED: Final = "localguard"
"""The schema's name."""

_ROLES = """
DO $$
DECLARE one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['localguard_ingest', 'localguard_read', 'localguard_admin'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', one);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;
"""

_TABLES = """
CREATE TABLE localguard.devices (
    device text PRIMARY KEY,
    key text NOT NULL,
    team text NOT NULL,
    name text NOT NULL,
    epoch int NOT NULL DEFAULT 1,
    enrolled timestamptz NOT NULL DEFAULT now(),
    revoked timestamptz,
    seen timestamptz,
    version text,
    policy text,
    organisation text,
    revision bigint
);
CREATE TABLE localguard.tokens (
    digest bytea PRIMARY KEY,
    team text NOT NULL,
    name text NOT NULL,
    expires timestamptz NOT NULL,
    used timestamptz,
    device text
);
CREATE TABLE localguard.cursors (
    device text NOT NULL,
    epoch int NOT NULL,
    start bigint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    instance text NOT NULL,
    waiting jsonb NOT NULL,
    PRIMARY KEY (device, epoch)
);
CREATE TABLE localguard.checkpoints (
    device text NOT NULL,
    epoch int NOT NULL,
    size bigint NOT NULL,
    team text NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    received timestamptz NOT NULL,
    PRIMARY KEY (device, epoch, size)
);
CREATE TABLE localguard.alarms (
    device text NOT NULL,
    epoch int NOT NULL,
    code text NOT NULL,
    team text NOT NULL,
    detail text NOT NULL,
    raised timestamptz NOT NULL DEFAULT now(),
    last timestamptz NOT NULL DEFAULT now(),
    times bigint NOT NULL DEFAULT 1,
    cleared timestamptz,
    PRIMARY KEY (device, epoch, code)
);
CREATE TABLE localguard.policies (
    revision bigint PRIMARY KEY,
    organisation text NOT NULL,
    digest text NOT NULL,
    document bytea NOT NULL,
    added timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE localguard.readers (
    role name NOT NULL,
    team text NOT NULL,
    PRIMARY KEY (role, team)
);
CREATE TABLE localguard.records (
    device text NOT NULL,
    epoch int NOT NULL,
    seq bigint NOT NULL,
    team text NOT NULL,
    day date NOT NULL,
    time timestamptz NOT NULL,
    received timestamptz NOT NULL,
    kind text NOT NULL,
    exchange text,
    session text,
    metadata bytea,
    metadata_salt bytea,
    metadata_hash bytea,
    findings bytea,
    findings_salt bytea,
    findings_hash bytea,
    local_hash bytea NOT NULL,
    names text,
    PRIMARY KEY (device, epoch, seq, day)
) PARTITION BY RANGE (day);
CREATE TABLE localguard.exchanges (
    device text NOT NULL,
    epoch int NOT NULL,
    seq bigint NOT NULL,
    team text NOT NULL,
    day date NOT NULL,
    time timestamptz NOT NULL,
    exchange text NOT NULL,
    session text,
    kind text NOT NULL,
    agent text,
    workspace text,
    sensitivity text,
    task text,
    cost_bucket text,
    endpoint text,
    endpoint_class text,
    provider text,
    model text,
    identity text,
    state text,
    status int,
    origin text,
    code text,
    rule text,
    cost_usd numeric,
    price_known boolean,
    input_tokens bigint,
    output_tokens bigint,
    cached_tokens bigint,
    total_ms bigint,
    request_bytes bigint,
    redacted bigint,
    restored bigint,
    withheld bigint,
    exposed bigint,
    policy text
) PARTITION BY RANGE (day);
CREATE INDEX exchanges_session ON localguard.exchanges (device, session) WHERE session IS NOT NULL;
CREATE TABLE localguard.session_results (
    device text NOT NULL,
    epoch int NOT NULL,
    seq bigint NOT NULL,
    team text NOT NULL,
    day date NOT NULL,
    time timestamptz NOT NULL,
    session text,
    workflow text,
    result text,
    review_minutes int,
    PRIMARY KEY (device, epoch, seq)
);
"""

_FUNCTIONS = """
CREATE FUNCTION localguard.open_day(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today date := (now() AT TIME ZONE 'utc')::date;
    parent text;
    part text;
BEGIN
    IF wanted IS NULL OR wanted < today - 402 OR wanted > today + 3 THEN
        RAISE EXCEPTION 'a day that far away has no partition';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('localguard.open_day'));
    FOREACH parent IN ARRAY ARRAY['records', 'exchanges'] LOOP
        part := parent || '_' || to_char(wanted, 'YYYYMMDD');
        IF to_regclass(format('localguard.%I', part)) IS NULL THEN
            EXECUTE format('CREATE TABLE localguard.%I PARTITION OF localguard.%I FOR VALUES FROM (%L) TO (%L)',
                part, parent, wanted, wanted + 1);
            EXECUTE format('GRANT INSERT ON localguard.%I TO localguard_ingest', part);
        END IF;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION localguard.open_day(date) FROM PUBLIC;

CREATE FUNCTION localguard.enrol(token bytea, enrolled_device text, device_key text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE good localguard.tokens;
BEGIN
    UPDATE localguard.tokens SET used = now(), device = enrolled_device
        WHERE digest = token AND used IS NULL AND expires > now() RETURNING * INTO good;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO localguard.devices (device, key, team, name) VALUES (enrolled_device, device_key, good.team, good.name)
        ON CONFLICT (device) DO UPDATE SET key = excluded.key, team = excluded.team, name = excluded.name,
            epoch = localguard.devices.epoch + 1, enrolled = now(), revoked = NULL;
    RETURN good.team;
END $$;
REVOKE ALL ON FUNCTION localguard.enrol(bytea, text, text) FROM PUBLIC;

CREATE FUNCTION localguard.my_teams() RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(team), '{}') FROM localguard.readers WHERE pg_has_role(session_user, role, 'MEMBER')
$$;
"""

_RIGHTS = """
REVOKE ALL ON SCHEMA localguard FROM PUBLIC;
GRANT USAGE ON SCHEMA localguard TO localguard_ingest, localguard_read, localguard_admin;

GRANT EXECUTE ON FUNCTION localguard.open_day(date) TO localguard_ingest;
GRANT EXECUTE ON FUNCTION localguard.enrol(bytea, text, text) TO localguard_ingest;
GRANT SELECT, UPDATE (seen, version, policy, organisation, revision) ON localguard.devices TO localguard_ingest;
GRANT SELECT, INSERT, UPDATE ON localguard.cursors TO localguard_ingest;
GRANT SELECT (device, epoch, size, root), INSERT ON localguard.checkpoints TO localguard_ingest;
GRANT SELECT, INSERT, UPDATE ON localguard.alarms TO localguard_ingest;
GRANT INSERT ON localguard.session_results TO localguard_ingest;
GRANT SELECT ON localguard.policies TO localguard_ingest;

GRANT SELECT ON localguard.records, localguard.exchanges, localguard.session_results, localguard.devices,
    localguard.checkpoints, localguard.alarms, localguard.cursors, localguard.policies TO localguard_read, localguard_admin;
GRANT INSERT, UPDATE, DELETE ON localguard.tokens, localguard.policies TO localguard_admin;
GRANT SELECT ON localguard.tokens TO localguard_admin;
GRANT UPDATE (revoked, name, team) ON localguard.devices TO localguard_admin;
GRANT UPDATE (cleared) ON localguard.alarms TO localguard_admin;
"""

_BOUND = ("records", "exchanges", "session_results", "devices", "checkpoints", "alarms")
_ROWS_OF_TABLE = """
ALTER TABLE localguard.{0} ENABLE ROW LEVEL SECURITY;
CREATE POLICY {0}_read ON localguard.{0} FOR SELECT TO localguard_read
    USING ((SELECT '*' = ANY (localguard.my_teams())) OR team = ANY (ARRAY(SELECT unnest(localguard.my_teams()))));
CREATE POLICY {0}_ingest ON localguard.{0} FOR ALL TO localguard_ingest USING (true) WITH CHECK (true);
CREATE POLICY {0}_admin ON localguard.{0} FOR ALL TO localguard_admin USING (true) WITH CHECK (true);
"""
_ROWS_OF_CURSORS = """
ALTER TABLE localguard.cursors ENABLE ROW LEVEL SECURITY;
CREATE POLICY cursors_read ON localguard.cursors FOR SELECT TO localguard_read
    USING (device IN (SELECT device FROM localguard.devices));
CREATE POLICY cursors_ingest ON localguard.cursors FOR ALL TO localguard_ingest USING (true) WITH CHECK (true);
CREATE POLICY cursors_admin ON localguard.cursors FOR ALL TO localguard_admin USING (true) WITH CHECK (true);
"""
_ROW_SECURITY = "".join(_ROWS_OF_TABLE.format(table) for table in _BOUND) + _ROWS_OF_CURSORS

_VIEWS = """
CREATE VIEW localguard.spend WITH (security_invoker = true) AS
SELECT day, team, cost_bucket, model, task AS workflow, identity, endpoint_class,
    count(*) AS exchanges, sum(cost_usd) AS cost_usd, count(*) FILTER (WHERE price_known IS FALSE) AS unknown_prices,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens
FROM localguard.exchanges WHERE kind = 'outcome'
GROUP BY day, team, cost_bucket, model, task, identity, endpoint_class;

CREATE VIEW localguard.data_flow WITH (security_invoker = true) AS
SELECT day, team, sensitivity, endpoint_class, endpoint,
    count(*) AS exchanges, sum(request_bytes) AS request_bytes, sum(redacted) AS redacted, sum(exposed) AS exposed
FROM localguard.exchanges WHERE kind = 'outcome'
GROUP BY day, team, sensitivity, endpoint_class, endpoint;

CREATE VIEW localguard.protection WITH (security_invoker = true) AS
SELECT day, team, count(*) FILTER (WHERE kind = 'outcome') AS exchanges,
    count(*) FILTER (WHERE kind = 'refusal') AS refusals,
    sum(redacted) AS redacted, sum(restored) AS restored, sum(withheld) AS withheld, sum(exposed) AS exposed
FROM localguard.exchanges GROUP BY day, team;

CREATE VIEW localguard.refusals WITH (security_invoker = true) AS
SELECT day, team, code, rule, origin, count(*) AS refusals
FROM localguard.exchanges WHERE kind = 'refusal' GROUP BY day, team, code, rule, origin;

CREATE VIEW localguard.personal_keys WITH (security_invoker = true) AS
SELECT day, team, device, endpoint, workspace, count(*) AS exchanges, sum(cost_usd) AS cost_usd
FROM localguard.exchanges WHERE kind = 'outcome' AND identity = 'personal'
GROUP BY day, team, device, endpoint, workspace;

CREATE VIEW localguard.machines WITH (security_invoker = true) AS
SELECT d.device, d.name, d.team, d.enrolled, d.revoked, d.seen, d.version, d.organisation, d.revision,
    c.size AS records, d.seen IS NULL OR d.seen < now() - interval '1 day' AS silent,
    (SELECT max(revision) FROM localguard.policies) IS NOT NULL
        AND d.revision IS DISTINCT FROM (SELECT max(revision) FROM localguard.policies) AS old_policy,
    (SELECT string_agg(code, ', ' ORDER BY code) FROM localguard.alarms a
        WHERE a.device = d.device AND a.epoch = d.epoch AND a.cleared IS NULL) AS unverified
FROM localguard.devices d LEFT JOIN localguard.cursors c ON c.device = d.device AND c.epoch = d.epoch;

CREATE VIEW localguard.outcomes WITH (security_invoker = true) AS
SELECT r.day, r.team, r.workflow, w.model, r.result, count(*) AS sessions, sum(w.cost_usd) AS cost_usd,
    sum(w.exchanges) AS exchanges, sum(r.review_minutes) AS review_minutes
FROM (SELECT DISTINCT ON (device, epoch, session) * FROM localguard.session_results
      ORDER BY device, epoch, session, seq DESC) r
CROSS JOIN LATERAL (
    SELECT mode() WITHIN GROUP (ORDER BY e.model) AS model, sum(e.cost_usd) AS cost_usd, count(*) AS exchanges
    FROM localguard.exchanges e
    WHERE e.device = r.device AND e.session = r.session AND e.epoch = r.epoch AND e.day BETWEEN r.day - 30 AND r.day
) w
GROUP BY r.day, r.team, r.workflow, w.model, r.result;

GRANT SELECT ON localguard.spend, localguard.data_flow, localguard.protection, localguard.refusals,
    localguard.personal_keys, localguard.machines, localguard.outcomes TO localguard_read, localguard_admin;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_ROLES + _TABLES + _FUNCTIONS + _RIGHTS + _ROW_SECURITY + _VIEWS,)
"""Append only. `localguard.migrations` counts the steps done."""
