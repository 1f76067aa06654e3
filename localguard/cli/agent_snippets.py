"""Settings to be put by hand into programs that keep them where no file of ours should reach. `{guard}` is the guard's address.

From the programs' documentation, read 2026-11; none of them was run.
"""

from collections.abc import Mapping

SNIPPETS: Mapping[str, str] = {
    "vscode": """\
VS Code, own key (Chat: Manage Language Models, Add Models, Custom Endpoint), in chatLanguageModels.json:

[
  {
    "name": "localguard",
    "vendor": "customendpoint",
    "apiKey": "${input:openai-key}",
    "models": [
      {
        "id": "gpt-5",
        "name": "GPT-5 through the guard",
        "url": "{guard}/openai/v1/chat/completions",
        "toolCalling": true,
        "vision": true
      }
    ]
  }
]

Models of your GitHub plan go to GitHub and not through the guard. A window per workspace needs a token of its own:
localguard workspace token, and {guard}/w/TOKEN/openai/v1 as the address.
""",
    "jetbrains": """\
JetBrains AI Assistant: Settings, Tools, AI Assistant, Models and API keys.

Provider   OpenAI-compatible
URL        {guard}/openai/v1
API key    your own

For Ollama or LM Studio give {guard}/ollama or {guard}/lmstudio/v1 as the URL of that provider. Models of the JetBrains
subscription go to JetBrains and not through the guard.
""",
    "copilot-app": """\
GitHub Copilot app, own key: Settings, Models, Add provider.

Type       OpenAI (or Anthropic)
Base URL   {guard}/openai/v1   (Anthropic: {guard}/anthropic)
API key    your own

Started from a shell it reads the same variables as Copilot CLI:

export COPILOT_PROVIDER_BASE_URL={guard}/openai/v1
export COPILOT_PROVIDER_TYPE=openai

Models of your GitHub plan go to GitHub and not through the guard.
""",
}
