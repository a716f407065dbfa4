// Stripe's own field for a card, and its question for the bank. Loaded on the two pages that need it, by full navigation.
(() => {
  "use strict";
  const form = document.getElementById("card");
  const error = document.getElementById("card-error");
  const button = form.querySelector("button[type=submit]");
  document.getElementById("no-script").hidden = true;
  const words = button.textContent;
  const say = (text) => {
    error.textContent = text;
    error.hidden = document.getElementById("card-help").hidden = false;
    // Another card may be sent at once.
    form.removeAttribute("aria-busy");
    button.disabled = false;
    button.textContent = words;
  };
  if (!window.Stripe) {
    button.disabled = true;
    error.textContent = "Stripe, our payment service, could not be reached from your browser. Reload the page, or allow js.stripe.com.";
    error.hidden = false;
    return;
  }
  const stripe = window.Stripe(form.dataset.key);
  const saving = form.dataset.saving === "1";
  let card = null;
  if (saving) {
    const colour = (name) => getComputedStyle(document.body).getPropertyValue(name);
    card = stripe.elements().create("card", { style: { base: { color: colour("color"), fontSize: "16px" } } });
    card.mount("#card-field");
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    button.disabled = true;
    button.textContent = button.dataset.busy;
    const holder = saving ? document.getElementById("holder").value.trim() : "";
    const data = saving ? { payment_method: { card, ...(holder && { billing_details: { name: holder } }) } } : undefined;
    try {
      const { error: refusal } = await (saving
        ? stripe.confirmCardSetup(form.dataset.secret, data)
        : stripe.confirmCardPayment(form.dataset.secret));
      // What the bank said of a charge, the server hears from Stripe: the plan does not hang on this page.
      const saved = refusal && refusal.code === "setup_intent_unexpected_state";
      if (refusal && saving && !saved) return say(`${refusal.message || "The card could not be saved."} Nothing was charged.`);
    } catch {
      // Its answer was lost, so nobody here knows what became of it: the server asks.
    }
    form.submit();
  });
})();
