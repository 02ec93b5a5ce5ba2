"""A report hides the secrets of an image's texts, and shows the rest."""

from __future__ import annotations

import pytest

from safe_image.results.redaction import redact, redact_variable

# The names of ordinary applications.
_NAMES = """
PASSWORD DB_PASS PGPASS PGPASSWORD MYSQL_PWD PASSPHRASE DATABASE_URL REDIS_URL AUTH NPM_AUTH AWS_ACCESS_KEY_ID
ENCRYPTION_KEY SIGNING_KEY SSH_KEY MASTER_KEY JWT BEARER SAS CONNECTION_STRING SENTRY_DSN COOKIE PRIVATE_KEY API_KEY
APIKEY TOKEN GITHUB_PAT SLACK_WEBHOOK AWS_SECRET_ACCESS_KEY PSWD PWD_DB PIN DbPassword apiKey
spring.datasource.password SECRET_KEY_BASE DOCKER_AUTH_CONFIG GOOGLE_APPLICATION_CREDENTIALS DB_CREDS
"""


@pytest.mark.parametrize("name", _NAMES.split())
def test_a_variable_with_the_name_of_a_secret_is_hidden(name: str) -> None:
    assert redact_variable(f"{name}=sesame open") == f"{name}=(not shown)"


@pytest.mark.parametrize(
    "variable",
    [
        "PATH=/usr/local/bin:/usr/bin",
        "LANG=C.UTF-8",
        "PYTHON_VERSION=3.13.1",
        "KEYBOARD=us",
        "NODE_ENV=production",
        "BASE_URL=https://example.com/a?b=c",
        "COMPASSION=1",
        "SPINNER=on",
        "org.opencontainers.image.url=https://example.com",
        "EMPTY=",
        "TOKEN=",
        "no equals",
    ],
)
def test_another_variable_is_shown(variable: str) -> None:
    assert redact_variable(variable) == variable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/run --password=sesame -v", "/run --password=(not shown) -v"),
        ("/run --token sesame --port 80", "/run --token (not shown) --port 80"),
        ("/run --token --port 80", "/run --token --port 80"),
        ('["CMD", "/run", "--api-key", "sesame"]', '["CMD", "/run", "--api-key", (not shown)]'),
        ("curl -u me:sesame https://a", "curl -u me:(not shown) https://a"),
        ("curl -H 'Authorization: Bearer sesame' https://a", "curl -H 'Authorization: (not shown)' https://a"),
        ('curl -H "X-Api-Key: sesame" https://a', 'curl -H "X-Api-Key: (not shown)" https://a'),
        ("git clone https://me:sesame@github.com/a/b", "git clone https://(not shown)@github.com/a/b"),
        ("postgres://app:sesame@db/shop", "postgres://(not shown)@db/shop"),
        ("mysql -psesame shop", "mysql -p(not shown) shop"),
        ("docker login -u me -p sesame ghcr.io", "docker login -u me -p (not shown) ghcr.io"),
        ("A=b DB_PASS='open sesame' npm ci", "A=b DB_PASS=(not shown) npm ci"),
        ('{"auths": {"a": {"auth": "sesame"}}}', '{"auths": {"a": {"auth": (not shown)}}}'),
        ("echo ghp_sesame0123456789sesame", "echo (not shown)"),
        ("mkdir -p /app && cp -pr a b", "mkdir -p /app && cp -pr a b"),
        ("pip install --key-file x", "pip install --key-file x"),
        ("apt-get install -y --no-install-recommends curl=7", "apt-get install -y --no-install-recommends curl=7"),
        ("COPY --from=build /app /app", "COPY --from=build /app /app"),
    ],
)
def test_a_secret_in_a_command_or_a_build_step_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert "sesame" not in redact(text)
