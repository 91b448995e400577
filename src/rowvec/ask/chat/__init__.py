"""Language models that answer a prompt: behind an endpoint of OpenAI's form, or in this process."""
