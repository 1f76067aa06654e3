"""The published table of finding types. One value has one type: of several, the first in this table wins."""

from typing import Final

TYPE_PRECEDENCE: Final[tuple[str, ...]] = (
    # whole blocks and signed tokens first: nothing inside them is better named by a part
    "PRIVATE_KEY",
    "GCP_SERVICE_KEY",
    "JWT",
    # issuers
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "ANTHROPIC_KEY",
    "OPENAI_KEY",
    "OPENROUTER_KEY",
    "XAI_KEY",
    "GROQ_KEY",
    "PERPLEXITY_KEY",
    "REPLICATE_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "GOOGLE_KEY",
    "GOOGLE_OAUTH",
    "AZURE_KEY",
    "AZURE_SECRET",
    "SLACK_TOKEN",
    "SLACK_WEBHOOK",
    "STRIPE_KEY",
    "NPM_TOKEN",
    "PYPI_TOKEN",
    "SENDGRID_KEY",
    "TWILIO_KEY",
    "DIGITALOCEAN_TOKEN",
    "HUGGINGFACE_TOKEN",
    "DATABRICKS_TOKEN",
    "TELEGRAM_TOKEN",
    "DISCORD_TOKEN",
    "DISCORD_WEBHOOK",
    "MAILGUN_KEY",
    "MAILCHIMP_KEY",
    "SHOPIFY_TOKEN",
    "LINEAR_KEY",
    "NOTION_TOKEN",
    "VAULT_TOKEN",
    "DOCKER_TOKEN",
    "SQUARE_TOKEN",
    "ARTIFACTORY_TOKEN",
    "IBM_KEY",
    "CLOUDANT_KEY",
    "SOFTLAYER_KEY",
    "LOCALGUARD_TOKEN",
    # named by where the value stands
    "DSN_PASSWORD",
    "BASIC_AUTH",
    "BEARER_TOKEN",
    "COOKIE",
    "PASSWORD",
    "API_KEY",
    "ACCESS_TOKEN",
    "SECRET",
    # persons
    "CARD",
    "IBAN",
    "US_SSN",
    "US_ITIN",
    "NATIONAL_ID",
    "PASSPORT",
    "HEALTH_ID",
    "TAX_ID",
    "CRYPTO_WALLET",
    "EMAIL",
    "PHONE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    # the team's own words
    "CUSTOM",
)

_RANK: Final = {name: rank for rank, name in enumerate(TYPE_PRECEDENCE)}


def precedence(finding_type: str) -> tuple[int, str]:
    """Sort key of a type: lower wins. Types that the table does not name come after it, in alphabetical order."""
    return (_RANK.get(finding_type, len(_RANK)), finding_type)
